package api

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// emptyBackup is one of a node that keeps nothing.
func emptyBackup() (func(io.Writer) error, bool, error) {
	return func(w io.Writer) error { return tar.NewWriter(w).Close() }, false, nil
}

func TestBackup(t *testing.T) {
	broken := errors.New("disk full")
	var write func(io.Writer) error
	var running bool
	var begin error
	w := newWorld(t, func(_ *Options, d *Dependencies) {
		d.Backup = func() (func(io.Writer) error, bool, error) { return write, running, begin }
	})
	target := "http://" + w.server.Addr().String() + "/v1/backup"
	post := func() (status int, kind string, body []byte, err error) {
		answer, err := http.Post(target, "", nil)
		must(t, err)
		defer func() { _ = answer.Body.Close() }()
		body, err = io.ReadAll(answer.Body)
		return answer.StatusCode, answer.Header.Get("Content-Type"), body, err
	}
	want := bytes.Repeat([]byte("some bytes of a store "), 100_000)
	write = func(w io.Writer) error {
		_, err := w.Write(want)
		return err
	}
	if status, kind, body, err := post(); status != http.StatusOK || kind != "application/x-tar" || !bytes.Equal(body, want) || err != nil {
		t.Errorf("%d, %s, %d bytes, %v", status, kind, len(body), err)
	}
	// Who gets a part of it must not take it for all.
	write = func(w io.Writer) error {
		_, err := w.Write(want)
		return errors.Join(err, broken)
	}
	if _, _, body, err := post(); err == nil {
		t.Errorf("%d bytes of a backup that failed, as if they were all", len(body))
	}
	running = true
	if status, _, body, _ := post(); status != http.StatusConflict || !strings.Contains(string(body), "backup-running") {
		t.Errorf("%d: %s", status, body)
	}
	running, begin = false, broken
	if status, _, body, _ := post(); status != http.StatusInternalServerError || strings.Contains(string(body), "disk full") {
		t.Errorf("%d: %s", status, body)
	}
}
