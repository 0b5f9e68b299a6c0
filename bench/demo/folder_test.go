package demo

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serveOnce greets one client, refuses its first mail and is gone.
func serveOnce(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		ln.Close()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "220 mx.example.net\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			switch verb, _, _ := strings.Cut(lines.Text(), " "); verb {
			case "MAIL":
				fmt.Fprint(conn, "550 5.7.1 no\r\n")
			case "QUIT":
				fmt.Fprint(conn, "221 2.0.0 bye\r\n")
				return
			default:
				fmt.Fprint(conn, "250 fine\r\n")
			}
		}
	}()
	return ln.Addr().String()
}

// A server that refuses a mail and goes away ends the delivery with an error that says so.
func TestDeliverAllOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	all := []delivery{{file: "1.eml"}, {file: "2.eml"}}
	for _, d := range all {
		if err := os.WriteFile(filepath.Join(dir, d.file), []byte("From: a@example.com\r\n\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	minted := []links{{ReturnPath: "b-1@bounce.example.com"}, {ReturnPath: "b-2@bounce.example.com"}}
	err := deliverAll(t.Context(), Target{Mail: serveOnce(t)}, dir, all, minted, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "connect to the mail edge") {
		t.Errorf("the error is %v", err)
	}
	if all[0].failure == nil || !strings.Contains(all[0].failure.Error(), "5.7.1") {
		t.Errorf("the first mail's failure is %v", all[0].failure)
	}
}
