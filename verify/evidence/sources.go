// SPDX-License-Identifier: Apache-2.0

package evidence

// Sources are all places where evidence can be, cheapest first.
func Sources(l Location) []Source {
	return []Source{Embedded{Store: l}}
}

// SourcesIn are the places in another repository, which has evidence about the
// image and not the image. Its tags start with tagPrefix.
func SourcesIn(Location, string) []Source {
	return nil
}
