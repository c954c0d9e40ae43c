// SPDX-License-Identifier: Apache-2.0

package evidence

// Sources are all places where evidence can be, cheapest first. A place is
// looked at when its candidates are asked for, and asked once: the list of what
// refers to an index serves all its manifests.
func Sources(l Location) []Source {
	l = Cached(l)
	return []Source{
		Embedded{Store: l},
		Referrers{Location: l},
		CosignTags{Location: l},
		DockerChain{Location: l},
	}
}

// SourcesIn are the places in another repository, which has evidence about the
// image and not the image. The tags in it start with tagPrefix, as cosign and
// policy-controller have it: nothing is put between the two.
func SourcesIn(l Location, tagPrefix string) []Source {
	l = Cached(l)
	return []Source{
		Referrers{Location: l},
		CosignTags{Location: l, Prefix: tagPrefix},
		DockerChain{Location: l},
	}
}
