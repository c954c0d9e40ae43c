// SPDX-License-Identifier: Apache-2.0

package rekor

import (
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// tree is the Merkle tree of RFC 6962 over the log's entries. levels[l][i] is
// the hash of the complete subtree of height l that starts at leaf i<<l.
type tree struct{ levels [][][]byte }

func (t *tree) size() uint64 {
	if len(t.levels) == 0 {
		return 0
	}
	return uint64(len(t.levels[0]))
}

func (t *tree) append(leafHash []byte) {
	hash := leafHash
	for level := 0; ; level++ {
		if level == len(t.levels) {
			t.levels = append(t.levels, nil)
		}
		t.levels[level] = append(t.levels[level], hash)
		n := len(t.levels[level])
		if n%2 == 1 {
			return
		}
		hash = rfc6962.DefaultHasher.HashChildren(t.levels[level][n-2], hash)
	}
}

func (t *tree) hashes(ids []compact.NodeID) [][]byte {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		out[i] = t.levels[id.Level][id.Index]
	}
	return out
}

// root folds the complete subtrees, of which there is one per set bit of the
// size, from the smallest on the right to the largest on the left.
func (t *tree) root() []byte {
	if t.size() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot()
	}
	parts := t.hashes(compact.RangeNodes(0, t.size(), nil))
	root := parts[len(parts)-1]
	for i := len(parts) - 2; i >= 0; i-- {
		root = rfc6962.DefaultHasher.HashChildren(parts[i], root)
	}
	return root
}

// inclusion proves that the entry at index is in the tree as it now is.
func (t *tree) inclusion(index uint64) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, t.size())
	if err != nil {
		return nil, fmt.Errorf("inclusion proof: %w", err)
	}
	return nodes.Rehash(t.hashes(nodes.IDs), rfc6962.DefaultHasher.HashChildren)
}
