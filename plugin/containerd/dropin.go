// SPDX-License-Identifier: Apache-2.0

package containerd

import "errors"

// DropIn is the one file, for a folder that the main configuration imports,
// that makes the configuration what w wants. What no drop-in mends is left to
// Mend.
func DropIn(dump []byte, w Want) ([]byte, error) {
	return nil, errors.New("not implemented")
}

// Mend edits the main configuration where no drop-in can: it takes away exactly
// the lines that keep containerd from asking verifiers, and keeps every other
// line and comment. changed is mainConfig if there is nothing to mend.
func Mend(mainConfig []byte) (changed []byte, err error) {
	return nil, errors.New("not implemented")
}

// Imports adds the import of dir/*.toml to a main configuration that lacks it.
// ok tells that it was there already.
func Imports(mainConfig []byte, dir string) (changed []byte, ok bool, err error) {
	return nil, false, errors.New("not implemented")
}
