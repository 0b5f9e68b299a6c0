package mailbox

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderLengths(t *testing.T) {
	const line = "From x Sat Nov 21 10:00:05 2026\n"
	inner := line + "A: inner\n\n>From me\n" // a whole mail, unquoted, in a body
	sized := func(body, end string) string {
		return fmt.Sprintf("%sA: b\nContent-Length: %d\n\n%s%s", line, len(body), body, end)
	}
	claims := func(n, body string) string { return line + "Content-Length: " + n + "\n\n" + body + "\n" }
	plain := line + "A: b\n\nc\n\n"
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"a mail in a mail", sized(inner, "\n") + plain, []string{sized(inner, "\n"), plain}},
		{"at the end", plain + sized(inner, ""), []string{plain, sized(inner, "")}},
		{"at the end, with a blank line", plain + sized(inner, "\n"), []string{plain, sized(inner, "\n")}},
		{"no blank line between", sized(inner, "") + plain, []string{sized(inner, ""), plain}},
		{"line ends of two bytes", strings.ReplaceAll(sized("From x\r", "\n"), "\n", "\r\n"), []string{strings.ReplaceAll(sized("From x\r", "\n"), "\n", "\r\n")}},
		{"several", sized(inner, "\n") + sized("", "\n") + sized("\n\n", "\n") + sized(inner+inner, "\n"), []string{sized(inner, "\n"), sized("", "\n"), sized("\n\n", "\n"), sized(inner+inner, "\n")}},
		{"quoted all the same", sized(">From me\n", "\n") + plain, []string{strings.Replace(sized(">From me\n", "\n"), ">From", "From", 1), plain}},
		{"too long", claims("9", "c\n") + plain + plain, []string{claims("9", "c\n"), plain, plain}},
		{"too long for the file", claims("900000", "c\n") + plain, []string{claims("900000", "c\n"), plain}},
		{"too short", claims("1", "cccc\n") + plain, []string{claims("1", "cccc\n"), plain}},
		{"wrong once, then not asked", claims("1", "cccc\n") + sized(inner, "\n"), []string{claims("1", "cccc\n"), strings.TrimSuffix(sized(inner, "\n"), inner+"\n"), strings.Replace(inner, ">", "", 1) + "\n"}},
		{"no number", claims("-1", "cccc\n") + claims("", "c\n") + claims("1234567890", "c\n") + plain, []string{claims("-1", "cccc\n"), claims("", "c\n"), claims("1234567890", "c\n"), plain}},
		{"larger than a mail may be", claims("4000000", "c\n") + plain, []string{claims("4000000", "c\n"), plain}},
		{"no header's end", line + "Content-Length: 3\nabc\n", []string{line + "Content-Length: 3\nabc\n"}},
		{"a length in the body", line + "A: b\n\nContent-Length: 0\n\nc\n\n" + plain, []string{line + "A: b\n\nContent-Length: 0\n\nc\n\n", plain}},
	} {
		for how, src := range map[string]io.Reader{"at once": strings.NewReader(c.file), "by bytes": iotest.OneByteReader(strings.NewReader(c.file))} {
			if got := readAll(t, src, false, 1<<20); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s:\n got %q\nwant %q", c.name, how, got, c.want)
			}
		}
		if got := readAll(t, strings.NewReader(c.file), true, 1<<20); len(got) != 1 || got[0] != c.file {
			t.Errorf("%s, single: %q", c.name, got)
		}
	}
}

// TestReaderLengthsWindows has mails of all sizes around that of the window, each full of other mails, in reads of all sizes.
func TestReaderLengthsWindows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 20 {
		var file strings.Builder
		var want []string
		for i := range 2 + random.IntN(8) {
			body := strings.Repeat("From x Sat Nov 21 10:00:05 2026\nA: b\n\n>From\n", random.IntN(500))
			if random.IntN(3) == 0 {
				body += strings.Repeat("x", windowSize-len(body)%windowSize-random.IntN(200)) + "\nFrom y\n"
			}
			mail := fmt.Sprintf("From m%d Sat Nov 21 10:00:05 2026\nContent-Length: %d\n\n%s\n", i, len(body), body)
			want = append(want, mail)
			file.WriteString(mail)
		}
		src := &cutReader{src: strings.NewReader(file.String()), random: random}
		if got := readAll(t, src, false, 4*windowSize); !slices.Equal(got, want) {
			t.Fatalf("%d mails, want %d", len(got), len(want))
		}
	}
}
