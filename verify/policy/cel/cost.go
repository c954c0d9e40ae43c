// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
)

// sizes are what an estimate reckons with where the type does not say how large
// something is. Larger documents are not refused: MaxCost bounds what they may
// cost.
const (
	sizeText     = 512    // characters of a string
	sizeList     = 500    // elements of a list or map within a document
	sizePackages = 20_000 // packages of an image
	sizeLicenses = 4      // licences of a package
	sizePackage  = 128    // characters of a string of a package
	sizeSigners  = 64     // evidence.MaxCandidates
)

// estimator gives the sizes.
type estimator struct{}

func (estimator) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	upTo := func(n uint64) *checker.SizeEstimate { return &checker.SizeEstimate{Min: 0, Max: n} }
	path := node.Path()
	switch {
	case len(path) == 2 && path[0] == VarSBOM && path[1] == "packages":
		return upTo(sizePackages)
	case len(path) == 1 && path[0] == VarSignatures:
		return upTo(sizeSigners)
	case len(path) > 2 && path[0] == VarSBOM:
		if node.Type().Kind() == cel.ListKind {
			return upTo(sizeLicenses)
		}
		return upTo(sizePackage)
	case node.Type().Kind() == cel.StringKind, node.Type().Kind() == cel.BytesKind:
		return upTo(sizeText)
	}
	return upTo(sizeList)
}

func (estimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// affordable refuses an expression that could cost too much, when the policy is
// loaded and not on the day that the large image comes.
func affordable(env *cel.Env, ast *cel.Ast) error {
	cost, err := env.EstimateCost(ast, estimator{})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCompile, err)
	}
	if cost.Max > MaxEstimate {
		return &SyntaxError{Position{1, 1}, fmt.Sprintf(
			"it could cost %d, and may cost %d: do not nest loops over packages or over documents of others", cost.Max, MaxEstimate)}
	}
	return nil
}
