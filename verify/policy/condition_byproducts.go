// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"time"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// byproducts demands documents that the signed provenance names by digest.
type byproducts struct{ types []string }

func (*byproducts) name() string { return conditionByproducts }

func buildByproducts(b *builder, p *spec.ImagePolicy) {
	if len(p.Byproducts) == 0 {
		return
	}
	d := &byproducts{}
	for _, s := range p.Byproducts {
		uri, err := predicateTypeOf(s.PredicateType)
		if err != nil {
			b.fault(s.At, "%w", err)
		}
		d.types = append(d.types, uri)
	}
	b.add(p.Byproducts[0].At, d)
}

// check asks for each document under each provenance: one has to name the
// document that the image carries.
func (d *byproducts) check(ctx context.Context, f *facts) (time.Time, error) {
	builds, err := f.builds()
	if err != nil {
		return time.Time{}, err
	}
	for _, uri := range d.types {
		var err error
		for i := range builds {
			if _, err = f.evidence.Byproducts(ctx, builds[i].claim, uri); err == nil {
				break
			}
			if !errors.Is(err, ErrByproduct) {
				break
			}
		}
		if err != nil {
			return time.Time{}, byproductError(err, uri)
		}
	}
	return time.Time{}, nil
}
