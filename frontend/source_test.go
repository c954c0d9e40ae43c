// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"testing"

	"github.com/moby/buildkit/solver/pb"
	"github.com/stretchr/testify/require"
)

func TestEveryPlaceIsNamedOnce(t *testing.T) {
	file := func(name, data string) *pb.SourceInfo { return &pb.SourceInfo{Filename: name, Data: []byte(data)} }
	at := func(index, line int32) *pb.Location {
		return &pb.Location{SourceIndex: index, Ranges: []*pb.Range{{Start: &pb.Position{Line: line}, End: &pb.Position{Line: line}}}}
	}
	src := &pb.Source{
		Infos: []*pb.SourceInfo{file("Dockerfile", "FROM a"), file("Dockerfile", "FROM a"), file("other", "FROM a"), file("Dockerfile", "FROM b")},
		Locations: map[string]*pb.Locations{
			"same":      {Locations: []*pb.Location{at(0, 1), at(1, 1), at(0, 1)}},
			"different": {Locations: []*pb.Location{at(1, 1), at(0, 2), at(2, 1), at(3, 1)}},
			"wrong":     {Locations: []*pb.Location{at(9, 1)}},
			"none":      {},
		},
	}
	onceLocated(src)
	require.Len(t, src.Infos, 3)
	require.Len(t, src.Locations["same"].Locations, 1)
	require.Empty(t, src.Locations["wrong"].Locations)
	require.Empty(t, src.Locations["none"].Locations)
	var places []string
	for _, l := range src.Locations["different"].Locations {
		info := src.Infos[l.SourceIndex]
		places = append(places, info.Filename+" "+string(info.Data)+" "+string('0'+rune(l.Ranges[0].Start.Line)))
	}
	require.Equal(t, []string{"Dockerfile FROM a 1", "Dockerfile FROM a 2", "other FROM a 1", "Dockerfile FROM b 1"}, places)
	onceLocated(nil)
}
