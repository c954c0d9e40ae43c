// SPDX-License-Identifier: Apache-2.0

// Package explain tells people about policies and decisions: what is risky in a
// policy that is otherwise sound, and what would have to be different for a
// refused image to pass.
//
// It decides nothing: a hint is about a decision that has been made, and a risk
// about a policy that is in force as it is.
package explain
