package demo

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"carom/bench/node"
	"carom/bench/progress"
	"carom/edge/report"
)

const (
	maxFolderMails = 100_000
	maxMailBytes   = 64 << 20
	folderSender   = "mail-folder"
	maxReturnPath  = 254 // RFC 5321 §4.5.3.1.3, without the brackets
)

// delivery is one mail of a folder and what became of it.
type delivery struct {
	file    string
	message string
	failure error
	why     string // it tells nothing; "" if it does
	events  []node.Event
}

// DeliverFolder delivers every mail of dir over SMTP, byte for byte, each to a return path of its own, and lists
// what each said. It returns an error if a mail was not answered with 250.
func DeliverFolder(ctx context.Context, t node.Target, dir string, out, show io.Writer) error {
	files, err := mailFiles(dir)
	if err != nil {
		return err
	}
	c, err := node.New(t, connections)
	if err != nil {
		return err
	}
	defer c.Close()
	all := make([]delivery, len(files))
	registrations := make([]node.Registration, len(files))
	for i, file := range files {
		all[i] = delivery{file: file, message: fmt.Sprintf("folder.%d@mail.example.com", i)}
		registrations[i] = node.Registration{
			Account: account, Sender: folderSender, Contact: fmt.Sprintf("folder-%d", i), Message: all[i].message,
			Recipient: fmt.Sprintf("folder-%d@example.net", i), Links: []string{}, SentAt: time.Now().Add(-time.Minute),
		}
	}
	minted := make([]node.Links, len(files))
	if err := c.Register(ctx, registrations, func(i int, l node.Links) { minted[i] = l }); err != nil {
		return err
	}
	if err := deliverAll(ctx, t, dir, all, minted, show); err != nil {
		return err
	}
	if err := waitForFolder(ctx, c, all); err != nil {
		return err
	}
	return writeFolder(out, all)
}

func mailFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of mails: %w", err)
	}
	var files []string
	for _, entry := range entries {
		if entry.Type().IsRegular() && !strings.HasPrefix(entry.Name(), ".") {
			files = append(files, entry.Name())
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read the folder of mails: %s holds no files", dir)
	}
	if len(files) > maxFolderMails {
		return nil, fmt.Errorf("read the folder of mails: %s holds %d files; %d at most", dir, len(files), maxFolderMails)
	}
	return files, nil
}

// deliverAll delivers one mail after the other; a mail that is refused is noted and the next one tried.
func deliverAll(ctx context.Context, t node.Target, dir string, all []delivery, minted []node.Links, show io.Writer) error {
	bar := progress.New(show, "mails of the folder", len(all))
	defer bar.Done()
	var mailer *node.Mailer // nil before the first mail, and after one that was refused
	defer func() { mailer.Close() }()
	for i := range all {
		d := &all[i]
		mail, err := readMail(filepath.Join(dir, d.file))
		if err != nil {
			return err
		}
		if mailer == nil {
			if mailer, err = node.DialMailer(ctx, t.Mail); err != nil {
				return err
			}
		}
		if d.failure = mailer.Deliver(d.envelope(mail), minted[i].ReturnPath, mail); d.failure != nil {
			mailer.Close()
			mailer = nil
		}
		bar.Add(1)
	}
	return nil
}

func readMail(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxMailBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxMailBytes)
	}
	return os.ReadFile(path)
}

// envelope is the return path under which a mail of a folder is delivered, which no longer tells its own: the author's for
// what a human wrote, else the empty one of reports and auto-replies (RFC 5321 §4.5.5).
func (d *delivery) envelope(mail []byte) string {
	r := report.Read(mail)
	d.why = r.Facts[0].Why
	switch r.Facts[0].Kind {
	case report.Reply, report.Unsubscribe:
	default:
		return ""
	}
	if len(r.From) > maxReturnPath || strings.ContainsFunc(r.From, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`<>\"`, c) }) {
		return "somebody@example.net"
	}
	return r.From
}

// waitForFolder waits until the node has worked off everything: a last event, sent after all mails, has come through.
func waitForFolder(ctx context.Context, c *node.Client, all []delivery) error {
	ctx, cancel := context.WithTimeout(ctx, settleBound)
	defer cancel()
	const last = "folder.end@mail.example.com"
	end := []node.Registration{{Account: account, Sender: folderSender, Contact: "folder-end", Message: last, Links: []string{}, SentAt: time.Now()}}
	if err := c.Register(ctx, end, func(int, node.Links) {}); err != nil {
		return err
	}
	for {
		if events, err := c.Timeline(ctx, account, last); err == nil && len(events) > 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the node to work off the mails: %w", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
	for i := range all {
		events, err := c.Timeline(ctx, account, all[i].message)
		if err != nil {
			return err
		}
		// The facts of a mail are of one time: this is the order in which it tells them.
		slices.SortStableFunc(events, func(a, b node.Event) int {
			return cmp.Or(cmp.Compare(a.Origin.Offset, b.Origin.Offset), cmp.Compare(a.Origin.N, b.Origin.N))
		})
		all[i].events = events
	}
	return nil
}

// writeFolder lists each mail's facts, counts them by kind, and fails if a mail was not answered with 250.
func writeFolder(w io.Writer, all []delivery) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "mail\tkind\tstatus\tcategory\thard\trecipient, or why not")
	refused, silent, kinds := 0, 0, map[string]int{}
	for _, d := range all {
		if d.failure != nil {
			refused++
			fmt.Fprintf(t, "%s\tREFUSED\t-\t-\t-\t%v\n", d.file, d.failure)
			continue
		}
		told := 0
		for _, e := range d.events {
			if e.Kind == "sent" {
				continue
			}
			told++
			kinds[e.Kind]++
			hard := ""
			if e.Kind == "bounce" {
				hard = fmt.Sprint(e.Bounce.Hard)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.file, e.Kind,
				orDash(e.Bounce.Status), orDash(e.Bounce.Category), orDash(hard), orDash(e.Bounce.Recipient))
		}
		if told == 0 {
			silent++
			fmt.Fprintf(t, "%s\tnothing\t-\t-\t-\t%s\n", d.file, orDash(d.why))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d mails, %d answered with 250, %d of them tell nothing; facts:", len(all), len(all)-refused, silent)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(w, " %d %s", kinds[kind], kind)
	}
	fmt.Fprintln(w)
	if refused > 0 {
		return fmt.Errorf("%d of %d mails were refused", refused, len(all))
	}
	return nil
}

// orDash keeps an empty cell from being taken for the next one.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
