package inbound

import (
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"

	"carom/edge/report"
)

// pathLibrary is a backend that keeps the last address.
type pathLibrary struct {
	bareSession
	got *string
}

func (p pathLibrary) Mail(from string, _ *smtp.MailOptions) error { *p.got = from; return nil }
func (p pathLibrary) Rcpt(string, *smtp.RcptOptions) error        { return nil }

// TestPathsAreThoseOfTheLibrary compares readPath with the library, over paths made of what paths are made of.
func TestPathsAreThoseOfTheLibrary(t *testing.T) {
	var got string
	l := newPipeListener()
	b := &bareLibrary{Server: smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return pathLibrary{got: &got}, nil
	})), t: t, pipes: l}
	b.Server.ErrorLog = libraryLog{zap.NewNop(), nil}
	go func() { _ = b.Serve(l) }()
	t.Cleanup(func() { _ = b.Close() })
	c := b.hello()

	random := newRandom(t)
	pieces := []string{"<", ">", "@", "@", "a", "b.example.org", "\"", "\\", ":", ",", ".", "(", "[", "]", "@r:", "ü"}
	paths := []string{
		"<>", "<a@b>", "a@b", "<a>", "<@b>", "<a@>", "<\"\"@b>", "<\"a b\"@c>", "<\"a@b\"@c>", "<\"a\\\"b\"@c>", "<\"a\\", "<a@b@c>",
		"<@x,@y:a@b>", "<@x:>", "<@x>", "@x:a@b", "<a(b)@c>", "<a@b\"c d\">", "<a@<b>", "<a@b\"c>d\">",
	}
	for range 2000 {
		var p strings.Builder
		p.WriteByte('<')
		for range 1 + random.IntN(8) {
			p.WriteString(pieces[random.IntN(len(pieces))])
		}
		p.WriteByte('>')
		paths = append(paths, p.String())
	}
	taken := 0
	for _, p := range paths {
		path, params, ok := splitPath("FROM:"+p, "FROM:")
		if !ok || params != "" {
			continue // not for readPath
		}
		c.send("MAIL FROM:" + path + "\r\n")
		answer, err := c.reply()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.HasPrefix(answer, "250")
		address, refusal := "", (*reply)(nil)
		if path != report.NullPath {
			address, refusal = readPath(path, true, replyBadSender)
		}
		if (refusal == nil) != want || want && address != got {
			t.Errorf("%s: %q, %v; the library %q, %s", path, address, refusal, got, answer)
		}
		if want {
			taken++
		}
	}
	if taken < 50 || taken > len(paths)/2 {
		t.Errorf("%d of %d paths were addresses", taken, len(paths))
	}
}
