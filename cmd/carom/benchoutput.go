package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// outputForm is a form of a result that a flag asks for, beside the table.
type outputForm struct {
	flag, file string // a file, - for standard output in place of the table, or nothing
	write      func(io.Writer) error
}

// writeOutput writes a result in all forms that are asked for. What can't be written costs none of the others.
func writeOutput(out io.Writer, table func(io.Writer) error, forms ...outputForm) (err error) {
	show := table
	for _, form := range forms {
		switch form.file {
		case "":
		case "-":
			show = form.write
		default:
			if fileErr := intoFile(form.file, form.write); fileErr != nil {
				err = errors.Join(err, fmt.Errorf("--%s: %w", form.flag, fileErr))
			}
		}
	}
	return errors.Join(show(out), err)
}

func intoFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
