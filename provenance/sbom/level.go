// SPDX-License-Identifier: Apache-2.0

package sbom

// Level is how much of an image a document tells.
type Level string

// The levels, from little to much.
const (
	LevelImage    Level = "image"    // the image, its base, and what somebody asked for by name
	LevelPackages Level = "packages" // every package
	LevelFiles    Level = "files"    // every package and every file
)

// Reduce returns the inventory at a level. Of the levels, only LevelImage
// leaves packages out: those that other packages brought.
func Reduce(inv *Inventory, level Level) *Inventory {
	if level != LevelImage || inv.Level == LevelImage {
		return inv
	}
	keep := inv.asked()
	at := make([]int, len(inv.Items)) // index in the result, from 1
	out := *inv
	out.Level, out.Items = LevelImage, nil
	for i, item := range inv.Items {
		if keep[i] {
			out.Items = append(out.Items, item)
			at[i] = len(out.Items)
		}
	}
	for i := range out.Items {
		out.Items[i].Needs = renumber(out.Items[i].Needs, at)
		out.Items[i].Contains = renumber(out.Items[i].Contains, at)
	}
	return &out
}

// asked marks the packages that somebody asked for: those that their database
// marks so, and where none of a type is marked, those that no other needs or
// contains.
func (inv *Inventory) asked() []bool {
	marked := map[string]bool{}
	brought := make([]bool, len(inv.Items))
	for _, item := range inv.Items {
		marked[item.Type] = marked[item.Type] || item.Top
		for _, list := range [][]int{item.Needs, item.Contains} {
			for _, other := range list {
				brought[other] = true
			}
		}
	}
	keep := make([]bool, len(inv.Items))
	for i, item := range inv.Items {
		if marked[item.Type] {
			keep[i] = item.Top
		} else {
			keep[i] = !brought[i]
		}
	}
	return keep
}

func renumber(list, at []int) []int {
	var out []int
	for _, i := range list {
		if at[i] > 0 {
			out = append(out, at[i]-1)
		}
	}
	return out
}
