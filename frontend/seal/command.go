// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A Catalog looks at a sealed layer, as deeply as level says, and writes what
// it finds into the folder report.
type Catalog func(ctx context.Context, level string, d Dirs, changes []Change, report string) error

// Main is the helper: it runs inside a build container that Helper.Add set up.
func Main(ctx context.Context, args []string, catalog Catalog) error {
	flags := flag.NewFlagSet(Command, flag.ContinueOnError)
	unix := flags.Int64("time", 0, "clamp later modification times to this one, in `seconds` since 1970")
	scrub := flags.String("scrub", "on", "apply the scrub table: on or off")
	compress := flags.Bool("compress", false, "report the digest of the compressed layer as well")
	level := flags.String("catalog", "", "look at the layer, too, at this `level`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *scrub != "on" && *scrub != "off" {
		return fmt.Errorf("--scrub is %q; allowed are on and off", *scrub)
	}
	d := Dirs{Lower: LowerDir, Upper: UpperDir, Out: OutDir}
	var look Look
	if *level != "" {
		look = func(ctx context.Context, changes []Change) error {
			return catalog(ctx, *level, d, changes, ReportDir)
		}
	}
	report, err := Layer(ctx, d, Rules{Time: time.Unix(*unix, 0), Scrub: *scrub == "on", Compress: *compress}, look)
	if err != nil {
		return err
	}
	report.Lower, report.Upper = snapshotAt(LowerDir), snapshotAt(UpperDir)
	data, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(ReportDir, ReportFile), data, 0o644)
}
