// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// What is read of SQLite's format is a table's tree of pages
// (https://www.sqlite.org/fileformat2.html): "A table b-tree … uses a 64-bit
// signed integer key and stores all data in the leaves".
const (
	sqliteMagic = "SQLite format 3\x00"

	sqliteInterior = 5
	sqliteLeaf     = 13

	// maxTreeDepth is deeper than a tree of all pages could be.
	maxTreeDepth = 40
)

// readSQLite lists the column blob of the table Packages:
// CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL).
func readSQLite(ctx context.Context, db database) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s, err := openSQLite(db)
		if err != nil {
			yield(nil, err)
			return
		}
		root, err := s.table("Packages")
		if err != nil {
			yield(nil, err)
			return
		}
		err = s.rows(ctx, root, 0, func(record []byte) error {
			columns, err := sqliteRecord(record)
			if err == nil && len(columns) != 2 {
				err = fmt.Errorf("%w: a row of %d columns", errFormat, len(columns))
			}
			if err != nil {
				return err
			}
			if !yield(columns[1], nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(nil, err)
		}
	}
}

var errStop = errors.New("no more is wanted")

type sqlite struct {
	database
	pageSize int64
	usable   int // bytes of a page that are used
	pages    int64
	log      map[uint32][]byte
	// left is how many pages may still be read: each has one place in a tree.
	// Without it, a page that leads to one above it would never end.
	left int64
}

func openSQLite(db database) (*sqlite, error) {
	head := make([]byte, 100)
	if _, err := db.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	s := &sqlite{database: db, pageSize: int64(binary.BigEndian.Uint16(head[16:]))}
	if s.pageSize == 1 {
		s.pageSize = 64 << 10
	}
	s.usable = int(s.pageSize) - int(head[20])
	switch {
	case string(head[:16]) != sqliteMagic:
		return nil, fmt.Errorf("%w: not SQLite", errFormat)
	case s.pageSize < 512 || s.pageSize&(s.pageSize-1) != 0 || s.usable < 480:
		return nil, fmt.Errorf("%w: pages of %d bytes", errFormat, s.pageSize)
	}
	s.pages = db.size / s.pageSize
	if db.log != nil {
		var err error
		if s.log, err = readWAL(db.log, s.pageSize); err != nil {
			return nil, err
		}
	}
	s.left = 2 * (s.pages + int64(len(s.log)))
	return s, nil
}

func (s *sqlite) page(number uint32) ([]byte, error) {
	if s.left--; s.left < 0 {
		return nil, fmt.Errorf("%w: pages that lead to each other", errFormat)
	}
	if page := s.log[number]; page != nil {
		return page, nil
	}
	if number == 0 || int64(number) > s.pages {
		return nil, fmt.Errorf("%w: page %d of %d", errFormat, number, s.pages)
	}
	page := make([]byte, s.pageSize)
	if _, err := s.ReadAt(page, int64(number-1)*s.pageSize); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	return page, nil
}

// table returns the first page of a table. The schema is a table on page 1:
// type, name, tbl_name, rootpage, sql.
func (s *sqlite) table(name string) (uint32, error) {
	var root uint32
	err := s.rows(context.Background(), 1, 0, func(record []byte) error {
		columns, err := sqliteRecord(record)
		if err != nil {
			return err
		}
		if len(columns) == 5 && string(columns[0]) == "table" && string(columns[1]) == name && len(columns[3]) <= 4 {
			for _, b := range columns[3] {
				root = root<<8 | uint32(b)
			}
		}
		return nil
	})
	if err == nil && root == 0 {
		err = fmt.Errorf("%w: no table of packages", errFormat)
	}
	return root, err
}

// rows visits the records of a table in the order of their keys.
func (s *sqlite) rows(ctx context.Context, number uint32, depth int, visit func(record []byte) error) error {
	page, err := s.page(number)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	head := page
	if number == 1 {
		head = page[100:] // after the file's own header
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	pointers := head[8:]
	if kind == sqliteInterior {
		pointers = head[12:]
	}
	if kind != sqliteInterior && kind != sqliteLeaf || depth > maxTreeDepth || 2*cells > len(pointers) {
		return fmt.Errorf("%w: page %d is no part of a table", errFormat, number)
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(pointers[2*i:]))
		if at+4 > s.usable {
			return fmt.Errorf("%w: a cell beyond page %d", errFormat, number)
		}
		if kind == sqliteInterior {
			err = s.rows(ctx, binary.BigEndian.Uint32(page[at:]), depth+1, visit)
		} else {
			err = s.leaf(page[at:s.usable], visit)
		}
		if err != nil {
			return err
		}
	}
	if kind == sqliteInterior {
		return s.rows(ctx, binary.BigEndian.Uint32(head[8:]), depth+1, visit)
	}
	return nil
}

// leaf reads a cell: the size of the record, the key, and as much of the record
// as fits; the rest is on a chain of other pages.
func (s *sqlite) leaf(cell []byte, visit func(record []byte) error) error {
	size, cell, ok := sqliteVarint(cell)
	_, cell, ok2 := sqliteVarint(cell)
	if !ok || !ok2 || size > maxBlob {
		return fmt.Errorf("%w: a row without its size, or of %d bytes", errFormat, size)
	}
	here := int64(sqliteLocal(int64(size), int64(s.usable)))
	if here > int64(len(cell)) {
		return fmt.Errorf("%w: a row that ends early", errFormat)
	}
	if here == int64(size) {
		return visit(cell[:here])
	}
	if here+4 > int64(len(cell)) || int64(size) > (s.pages+int64(len(s.log)))*s.pageSize {
		return fmt.Errorf("%w: a row that ends early", errFormat)
	}
	record := append(make([]byte, 0, size), cell[:here]...)
	for next := binary.BigEndian.Uint32(cell[here:]); uint64(len(record)) < size; {
		page, err := s.page(next)
		if err != nil {
			return err
		}
		next = binary.BigEndian.Uint32(page)
		more := page[4:s.usable]
		record = append(record, more[:min(len(more), int(size)-len(record))]...)
	}
	return visit(record)
}

// sqliteLocal is how much of a record is on the leaf itself: "Let P be the
// payload size … U the usable size … X is U-35 … M be ((U-12)*32/255)-23 …
// K be M+((P-M)%(U-4))".
func sqliteLocal(p, u int64) int64 {
	x, m := u-35, (u-12)*32/255-23
	if p <= x {
		return p
	}
	if k := m + (p-m)%(u-4); k <= x {
		return k
	}
	return m
}

// sqliteVarint reads 1 to 9 bytes, the high bit of the first eight saying that
// another follows.
func sqliteVarint(data []byte) (uint64, []byte, bool) {
	var v uint64
	for i := range min(len(data), 9) {
		if i == 8 {
			return v<<8 | uint64(data[i]), data[9:], true
		}
		v = v<<7 | uint64(data[i]&0x7f)
		if data[i] < 0x80 {
			return v, data[i+1:], true
		}
	}
	return 0, nil, false
}

// sqliteRecord takes a record apart: the size of its header, a type for each
// column, and the columns. Numbers are returned as they are stored.
func sqliteRecord(record []byte) ([][]byte, error) {
	size, rest, ok := sqliteVarint(record)
	if !ok || size > uint64(len(record)) || int(size) < len(record)-len(rest) {
		return nil, fmt.Errorf("%w: a row without its header", errFormat)
	}
	types, body := record[len(record)-len(rest):size], record[size:]
	var columns [][]byte
	for len(types) > 0 {
		var kind uint64
		if kind, types, ok = sqliteVarint(types); !ok {
			return nil, fmt.Errorf("%w: a row whose header ends early", errFormat)
		}
		width := sqliteWidth(kind)
		if width > uint64(len(body)) {
			return nil, fmt.Errorf("%w: a row that ends early", errFormat)
		}
		columns, body = append(columns, body[:width]), body[width:]
	}
	return columns, nil
}

// sqliteWidth is the size of a column by its type.
func sqliteWidth(kind uint64) uint64 {
	fixed := []uint64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}
	if kind < uint64(len(fixed)) {
		return fixed[kind]
	}
	return (kind - 12) / 2 // even for blobs, odd for texts
}
