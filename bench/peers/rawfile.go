package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// rawFilePeer is the simplest server that keeps the same promise as Carom: what it is asked is appended to a file, which
// is synced before the answer, once for all that came meanwhile. It opens no token, judges nobody, and can't tell one
// event from another.
func rawFilePeer() peer {
	return peer{
		name: "raw-file", protocol: overHTTP,
		promise: "the request's line is on disk (fdatasync)",
		command: func(at *place) (*exec.Cmd, error) { return at.serve(serveRawFile) },
		kept: func(at *place) (int64, error) {
			info, err := os.Stat(filepath.Join(at.dir, rawFileName))
			if err != nil {
				return 0, fmt.Errorf("count the raw file's records: %w", err)
			}
			return info.Size() / rawRecord, nil
		},
	}
}

const (
	rawFileName = "raw"
	// rawRecord is how many bytes a request takes in the file: as many as it takes in Carom's journal
	// (carom_journal_written_bytes_total / carom_journal_records_total).
	rawRecord = 252
)

// rawFile is a file that many append to.
type rawFile struct {
	file *os.File

	mu   sync.Mutex // guards open and failed
	more sync.Cond  // that open has records, or failed is set
	open *rawBatch
	err  error
}

func newRawFile(file *os.File) *rawFile {
	f := &rawFile{file: file, open: newRawBatch(nil)}
	f.more.L = &f.mu
	return f
}

// rawBatch is what is written and synced at once.
type rawBatch struct {
	records []byte
	synced  chan struct{} // closed when the records are on disk, or never will be
	err     error         // why not; set before synced is closed
}

func newRawBatch(buffer []byte) *rawBatch {
	return &rawBatch{records: buffer[:0], synced: make(chan struct{})}
}

// append returns when a record that begins with text is on disk.
func (f *rawFile) append(text []byte) error {
	f.mu.Lock()
	if f.err != nil {
		f.mu.Unlock()
		return f.err
	}
	b := f.open
	end := len(b.records) + rawRecord
	b.records = append(b.records, text[:min(len(text), rawRecord)]...)
	for len(b.records) < end {
		b.records = append(b.records, '\n')
	}
	f.mu.Unlock()
	f.more.Signal()
	<-b.synced
	return b.err
}

// write writes and syncs batches until that fails.
func (f *rawFile) write() error {
	var spare []byte
	for {
		f.mu.Lock()
		for len(f.open.records) == 0 {
			f.more.Wait()
		}
		b := f.open
		f.open = newRawBatch(spare)
		f.mu.Unlock()
		_, b.err = f.file.Write(b.records)
		if b.err == nil {
			b.err = unix.Fdatasync(int(f.file.Fd()))
		}
		spare, b.records = b.records, nil
		close(b.synced)
		if b.err != nil {
			f.mu.Lock()
			f.err = b.err
			rest := f.open
			f.mu.Unlock()
			rest.err = b.err
			close(rest.synced)
			return b.err
		}
	}
}

func runRawFile(ln net.Listener, dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, rawFileName), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make the raw file: %w", err)
	}
	f := newRawFile(file)
	failed := make(chan error, 1)
	go func() { failed <- f.write() }()
	server := bareHTTP(func(ctx *fasthttp.RequestCtx) {
		if err := f.append(ctx.Request.Header.RequestURI()); err != nil {
			ctx.Error("the request could not be kept", fasthttp.StatusServiceUnavailable)
			return
		}
		answerPixel(ctx)
	})
	go func() { failed <- server.Serve(ln) }()
	err = <-failed
	return errors.Join(err, file.Close())
}
