package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"carom/edge/report"
)

const (
	reportMails = "../../edge/report/testdata/mail"
	envelope    = "From MAILER-DAEMON Sat Nov 21 10:00:05 2026\n"
)

// ownMails returns our own mails' files, in order.
func ownMails(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(reportMails, "*.eml"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	return files
}

func getFile(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func putFile(t *testing.T, b []byte, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// factLines is what `carom report` must say of a mail.
func factLines(name string, mail []byte) string {
	var b []byte
	told := report.Read(mail)
	for i := range told.Facts {
		b = append(told.Facts[i].AppendJSON(b, name, i+1), '\n')
	}
	return string(b)
}

// reportOf runs `carom report` to its end with an input. It must succeed and say nothing on standard error.
func reportOf(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	cmd := caromCommand(nil, append([]string{"report"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("report %v: %v, %s", args, err, errs.Bytes())
	}
	return string(out)
}

// sameLines compares what many lines are.
func sameLines(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s: line %d\n got %s\nwant %s", what, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s: %d lines, want %d", what, len(g), len(w))
}

func TestReportFolder(t *testing.T) {
	dir := t.TempDir()
	var want strings.Builder
	for _, file := range ownMails(t) {
		mail := getFile(t, file)
		want.WriteString(factLines(putFile(t, mail, dir, filepath.Base(file)), mail))
	}
	sameLines(t, "the folder", reportOf(t, nil, dir), want.String())
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	sameLines(t, "the files", reportOf(t, nil, files...), want.String())
	for _, file := range files[:5] {
		sameLines(t, file, reportOf(t, nil, file), factLines(file, getFile(t, file)))
		sameLines(t, file, reportOf(t, getFile(t, file), "-"), factLines("-", getFile(t, file)))
	}
}

// TestReportCorpus does with real mails what TestReportFolder does with ours.
func TestReportCorpus(t *testing.T) {
	corpus := os.Getenv("CAROM_CORPUS")
	if corpus == "" {
		t.Skip("CAROM_CORPUS names no folder of real mails")
	}
	dir := filepath.Join(corpus, "bounces", "mail")
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d mails in %s, %v", len(files), dir, err)
	}
	var want strings.Builder
	for i, file := range files {
		lines := factLines(file, getFile(t, file))
		want.WriteString(lines)
		if i%100 == 0 {
			sameLines(t, file, reportOf(t, nil, file), lines)
		}
	}
	sameLines(t, "the folder", reportOf(t, nil, dir), want.String())
	sameLines(t, "the files", reportOf(t, nil, files...), want.String())
}

var quoted = regexp.MustCompile(`(?m)^>*From `)

// mboxOf joins mails as mboxrd says, and tells what must be said of them.
func mboxOf(mails [][]byte, name string) (mbox []byte, want string) {
	var b bytes.Buffer
	var lines strings.Builder
	for i, mail := range mails {
		mail = append(bytes.TrimRight(mail, "\r\n"), "\n\n"...)
		b.WriteString(envelope)
		b.Write(quoted.ReplaceAll(mail, []byte(">$0")))
		lines.WriteString(factLines(fmt.Sprintf("%s#%d", name, i+1), append([]byte(envelope), mail...)))
	}
	return b.Bytes(), lines.String()
}

func packed(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestReportMbox reads small mboxes, which one worker reads, and large ones, in which all have a share.
func TestReportMbox(t *testing.T) {
	var mails [][]byte
	for _, file := range ownMails(t) {
		mails = append(mails, getFile(t, file))
	}
	for _, times := range []int{1, 15} {
		many := slices.Repeat(mails, times)
		dir := t.TempDir()
		file := filepath.Join(dir, "inbox")
		mbox, want := mboxOf(many, file)
		if large := len(mbox) > smallFile; large != (times > 1) {
			t.Fatalf("%d bytes are not what this test is about", len(mbox))
		}
		putFile(t, mbox, file)
		sameLines(t, "the mbox", reportOf(t, nil, file), want)
		sameLines(t, "its folder", reportOf(t, nil, dir), want)
		_, want = mboxOf(many, "-")
		sameLines(t, "standard input", reportOf(t, mbox, "-"), want)
		sameLines(t, "gzip'd", reportOf(t, packed(t, mbox), "-"), want)
	}
}

func TestReportOneInMbox(t *testing.T) {
	mail := append([]byte(envelope), getFile(t, filepath.Join(reportMails, "qmail.eml"))...)
	two := append(append(bytes.Clone(mail), "\n\n"...), mail...)
	dir := t.TempDir()
	one := putFile(t, mail, dir, "one")
	sameLines(t, "an mbox of one", reportOf(t, nil, one), factLines(one, mail))
	eml := putFile(t, two, dir, "two.eml")
	sameLines(t, "a mail by its name", reportOf(t, nil, eml), factLines(eml, two))
}

func TestReportMaildir(t *testing.T) {
	mail := getFile(t, filepath.Join(reportMails, "qmail.eml"))
	dir := t.TempDir()
	var want strings.Builder
	for _, name := range []string{".Old/cur/a", "cur/b:2,S", "new/c"} {
		want.WriteString(factLines(putFile(t, mail, dir, name), mail))
	}
	for _, name := range []string{"tmp/d", ".Old/tmp/e", "dovecot.index", ".Old/new/.hidden"} {
		putFile(t, mail, dir, name)
	}
	sameLines(t, "the Maildir", reportOf(t, nil, dir), want.String())
}

// TestReportJunk holds that no file stops the others, and that all lines stand in the order of the inputs.
func TestReportJunk(t *testing.T) {
	mail := getFile(t, filepath.Join(reportMails, "qmail.eml"))
	dir := t.TempDir()
	var want strings.Builder
	var errs []string
	add := func(name string, b []byte, failure string) {
		file := putFile(t, b, dir, name)
		if failure == "" {
			want.WriteString(factLines(file, b))
		} else {
			errs = append(errs, "carom: "+file+": "+failure)
		}
	}
	add("a-binary", bytes.Repeat([]byte{0, 0xff, '\r', 0x80}, 10_000), "")
	add("b-empty", nil, "")
	add("c.eml", mail, "")
	add("d-torn.gz", packed(t, mail)[:40], "unexpected EOF")
	add("e-\x1b[2J\xff", mail, "")
	huge := putFile(t, nil, dir, "f-huge")
	if err := os.Truncate(huge, maxReportBytes+1); err != nil {
		t.Fatal(err)
	}
	errs = append(errs, fmt.Sprintf("carom: %s: larger than %d bytes", huge, maxReportBytes))
	add("g\x1b[2J/h.gz", []byte("\x1f\x8b\x08"), "unexpected EOF")
	add("i/j/k.eml.gz", mail, "")
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "m"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		add("n-secret", mail, "permission denied")
		if err := os.Chmod(filepath.Join(dir, "n-secret"), 0); err != nil {
			t.Fatal(err)
		}
	}
	none := filepath.Join(dir, "none")
	errs = append(errs, "no such file or directory")
	add("o", mail, "")

	stdout, stderr, code := carom(t, nil, "report", dir, none)
	sameLines(t, "junk", stdout, want.String())
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(stderr, "\x1b") || strings.Contains(stderr, "\xff") {
		t.Errorf("names of files reach the terminal as they are: %q", stderr)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	errs = append(errs, fmt.Sprintf("carom: %d could not be read, 6 could", len(errs)))
	if len(lines) != len(errs) {
		t.Fatalf("%d lines on standard error, want %d:\n%s", len(lines), len(errs), stderr)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, printable(errs[i])) && !strings.HasPrefix(line, printable(errs[i])) {
			t.Errorf("line %d: %q, want %q", i, line, errs[i])
		}
	}
}

// TestReportOrder mixes files of all sizes, so that some workers have much to do and others little.
func TestReportOrder(t *testing.T) {
	mail := getFile(t, filepath.Join(reportMails, "postfix-dsn.eml"))
	dir := t.TempDir()
	var want strings.Builder
	for i := range 1500 {
		m := mail
		switch {
		case i%1000 == 250:
			m = append(bytes.Clone(mail), bytes.Repeat([]byte("x\n"), smallFile)...)
		case i%40 == 20:
			m = append(bytes.Clone(mail), bytes.Repeat([]byte("x\n"), jobBytes/4)...)
		}
		want.WriteString(factLines(putFile(t, m, dir, fmt.Sprintf("%02d", i/100), fmt.Sprintf("%04d", i)), m))
		if i%700 == 600 {
			file := filepath.Join(dir, fmt.Sprintf("%02d", i/100), fmt.Sprintf("%04d-mbox", i))
			mbox, lines := mboxOf(slices.Repeat([][]byte{mail}, 2000), file)
			want.WriteString(lines)
			putFile(t, mbox, file)
		}
	}
	sameLines(t, "the folder", reportOf(t, nil, dir), want.String())
}

func TestReportUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"--format", "xml", "-"}, {"--summary", "--explain", "-"}, {"--what", "-"}, {"--mx", "mx.example.net", "-"}, {"--to", "bob@example.net", "-"}} {
		if _, stderr, code := carom(t, nil, append([]string{"report"}, args...)...); code != exitUsage || stderr == "" {
			t.Errorf("report %v: exit code %d, %q", args, code, stderr)
		}
	}
}

func TestReportReply(t *testing.T) {
	const two = "550-5.7.1 [192.0.2.1] Our system has detected that this message is\n550 5.7.1 likely unsolicited mail"
	want := ""
	for _, reply := range []string{"550 5.1.1 user unknown", two} {
		fact := report.ReadReply(reply)
		want += string(fact.AppendJSON(nil, "", 1)) + "\n"
	}
	sameLines(t, "replies", reportOf(t, nil, "--reply", "550 5.1.1 user unknown", "--reply", two), want)
	if !strings.Contains(want, `"category":"spam_content"`) && !strings.Contains(want, `"category":"reputation"`) {
		t.Errorf("the second line is not read: %s", want)
	}
	const denied = "550 Mailbox unavailable or access denied"
	fact := report.Attempt{Host: "mx3.qq.com", Recipient: "bob@example.net"}.ReadReply(denied)
	if fact.Category != "rate_limited" || fact.Recipient == "" || fact.RemoteMTA == "" {
		t.Errorf("the host and the recipient change nothing: %+v", fact)
	}
	sameLines(t, "a reply of a host", reportOf(t, nil, "--reply", denied, "--mx", "mx3.qq.com", "--to", "bob@example.net"), string(fact.AppendJSON(nil, "", 1))+"\n")
	table := reportOf(t, nil, "--format", "table", "--explain", "--reply", "550 5.1.1 user unknown")
	for _, part := range []string{"invalid_recipient", "hard", "texts.tsv:", "> diagnostic text"} {
		if !strings.Contains(table, part) {
			t.Errorf("%q is not in\n%s", part, table)
		}
	}
}

// TestReportExplain holds that --explain adds a member and changes nothing else.
func TestReportExplain(t *testing.T) {
	plain := strings.Split(strings.TrimSpace(reportOf(t, nil, reportMails)), "\n")
	var kept []string
	rows := 0
	for line := range strings.Lines(reportOf(t, nil, "--explain", reportMails)) {
		fact, rest, _ := strings.Cut(line, `,"explain":`)
		if kept = append(kept, fact+"}"); strings.Contains(fact, ".golden") {
			continue
		}
		var e factExplanation
		if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(rest), "}")), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if len(e.Decoders) == 0 || !e.Decoders[len(e.Decoders)-1].Taken {
			t.Errorf("no decoder: %s", line)
		}
		if e.Row != nil {
			rows++
			file := getFile(t, filepath.Join(reportMails, "..", "..", "tables", e.Row.File))
			if at := strings.Split(string(file), "\n"); e.Row.Line > len(at) || !strings.Contains(strings.ToLower(at[e.Row.Line-1]), strings.ToLower(e.Row.Pattern)) {
				t.Errorf("%s:%d has no %q", e.Row.File, e.Row.Line, e.Row.Pattern)
			}
		}
	}
	sameLines(t, "the facts", strings.Join(kept, "\n"), strings.Join(plain, "\n"))
	if rows < 20 {
		t.Errorf("only %d rules are named", rows)
	}
}

func TestReportSummary(t *testing.T) {
	var want reportCounts
	kinds := map[string]int64{}
	for line := range strings.Lines(reportOf(t, nil, reportMails)) {
		var f struct {
			Kind string
			Hard bool
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		want.Facts++
		kinds[f.Kind]++
		if f.Hard {
			want.Hard++
		}
	}
	var got reportCounts
	if err := json.Unmarshal([]byte(reportOf(t, nil, "--summary", "--format", "json", reportMails)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Facts != want.Facts || got.Hard != want.Hard || got.Soft != kinds["bounce"]-want.Hard || fmt.Sprint(got.Kinds) != fmt.Sprint(kinds) {
		t.Errorf("got %+v, want %+v, kinds %v", got, want, kinds)
	}
	for name, counts := range map[string]map[string]int64{"decoder": got.Decoders, "provider": got.Providers, "category": got.Categories} {
		var all int64
		for _, n := range counts {
			all += n
		}
		if failures := kinds["bounce"] + kinds["delay"]; all != failures && (name != "decoder" || all != want.Facts) {
			t.Errorf("%d by %s of %d facts, %d failures", all, name, want.Facts, failures)
		}
	}
	table := reportOf(t, nil, "--summary", reportMails)
	for _, part := range []string{fmt.Sprintf("mails read %24d", got.Mails), fmt.Sprintf("hard %30d", got.Hard), "delivery-status", "mailbox_full"} {
		if !strings.Contains(strings.Join(strings.Fields(table), " "), strings.Join(strings.Fields(part), " ")) {
			t.Errorf("%q is not in\n%s", part, table)
		}
	}
	if _, _, code := carom(t, nil, "report", "--summary", reportMails, "none"); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}

func TestReportTable(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(reportOf(t, nil, "--format", "table", reportMails+"/dsn-lf.eml", reportMails+"/qmail.eml"), "\n"), "\n")
	starts := func(line string) (at []int) {
		for _, word := range []string{"kind", "recipient", "status", "category", "hard"} {
			at = append(at, strings.Index(line, word))
		}
		return at
	}(lines[0])
	if slices.Contains(starts, -1) || !slices.IsSorted(starts) || len(lines) < 3 {
		t.Fatalf("%q", lines)
	}
	for _, line := range lines {
		if cellWidth(line) > otherWidth {
			t.Errorf("too wide: %q", line)
		}
		line = strings.ReplaceAll(line, "…", ".")
		if line[starts[0]-1] != ' ' || line[starts[3]-1] != ' ' {
			t.Errorf("not aligned:\n%s\n%s", lines[0], line)
		}
	}
}

// TestReportTableWidths holds the width of lines on narrow terminals, whatever the cells.
func TestReportTableWidths(t *testing.T) {
	row := strings.Join([]string{strings.Repeat("d/", 40) + "file", "unsubscribe", strings.Repeat("日本", 30) + "@example.jp", "5.7.1234", "invalid_recipient", "hard", "yahoo-japan", strings.Repeat("said ", 90)}, "\t") + "\n"
	for _, total := range []int{70, 80, 100, 120, 200} {
		var out bytes.Buffer
		table := newReportTable(bufio.NewWriter(&out), total)
		for range tableSample + 5 {
			if _, err := io.WriteString(table, row); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); cellWidth(line) > total {
				t.Fatalf("%d of %d columns: %q", cellWidth(line), total, line)
			}
			if strings.Contains(line, "said") {
				n++
			}
			if strings.Contains(line, "unsub") && !strings.Contains(line, "file ") {
				t.Errorf("a file without its name: %q", line)
			}
		}
		if n != tableSample+5 {
			t.Errorf("%d texts in %d columns", n, total)
		}
	}
}

// TestReportInterrupted interrupts a run that waits for more on standard input.
func TestReportInterrupted(t *testing.T) {
	mail := getFile(t, filepath.Join(reportMails, "postfix-dsn.eml"))
	mbox, want := mboxOf(slices.Repeat([][]byte{mail}, 3000), "-")
	cmd := caromCommand(nil, "report", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = in.Write(mbox) }() // and no end of it
	some := make([]byte, 100_000)
	if _, err := io.ReadFull(out, some); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	got := string(some) + string(rest)
	if !strings.HasSuffix(got, "}\n") || !strings.HasPrefix(want, got) {
		t.Errorf("%d bytes, the last line is %q", len(got), got[strings.LastIndex(strings.TrimSpace(got), "\n")+1:])
	}
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(errs.String(), "interrupted after ") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}

// TestReportPipeCloses is what `carom report ... | head -1` sees: nothing is said about it.
func TestReportPipeCloses(t *testing.T) {
	mail := getFile(t, filepath.Join(reportMails, "postfix-dsn.eml"))
	mbox, _ := mboxOf(slices.Repeat([][]byte{mail}, 3000), "-")
	cmd := caromCommand(nil, "report", putFile(t, mbox, t.TempDir(), "mbox"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	out.Close()
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE || errs.Len() > 0 {
		t.Errorf("%v, %s", err, errs.String())
	}
}
