package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// outcomeFormat is the version of the JSON form.
const outcomeFormat = 1

// outcome is a whole run, as it goes to the JSON file.
type outcome struct {
	Format  int       `json:"format"`
	Began   time.Time `json:"began"`
	Machine machine   `json:"machine"`
	Options options   `json:"options"`
	Ratios  []ratio   `json:"ratios"`
	Rows    []row     `json:"peers"`
	Cells   []cell    `json:"cells"`
}

// machine is what the figures depend on beside the programs.
type machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"` // that the run may use
	System string  `json:"system"`
	Sync   float64 `json:"fdatasync_us"` // median of appending 4 KiB to a file and syncing it, in the run's folder
}

// finish makes the sums of a run that has ended.
func (r *outcome) finish(peers []peer) {
	r.Rows, r.Ratios = rows(r.Cells, peers), ratios(r.Cells, peers)
}

func (r *outcome) writeJSON(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the outcome: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// writeFiles writes what was asked for, and tells which files.
func (r *outcome) writeFiles(o *options, progress io.Writer) error {
	if o.JSON != "" {
		if err := r.writeJSON(o.JSON); err != nil {
			return err
		}
		fmt.Fprintf(progress, "everything that was measured: %s\n", o.JSON)
	}
	if o.Pages == "" {
		return nil
	}
	pages, err := writePages(o.Pages, r.Cells)
	for _, page := range pages {
		fmt.Fprintf(progress, "page: %s\n", page)
	}
	return err
}
