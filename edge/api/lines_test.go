package api

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// cut reads all lines of r as "number:line", "number!" for one that is too long.
func cut(r io.Reader, most int) (lines []string, err error) {
	l := newLineReader(r, most)
	for {
		line, tooLong, ok := l.next()
		switch {
		case ok && tooLong:
			lines = append(lines, fmt.Sprintf("%d!", l.number))
		case ok:
			lines = append(lines, fmt.Sprintf("%d:%s", l.number, line))
		case l.ended():
			return lines, l.cause()
		default:
			l.fill()
		}
	}
}

func TestLineReader(t *testing.T) {
	const most = 8
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"a", []string{"1:a"}},
		{"a\n", []string{"1:a"}},
		{"a\r\n\nb", []string{"1:a", "2:", "3:b"}},
		{"\n\n", []string{"1:", "2:"}},
		{"12345678\n12345678\r\n12345678", []string{"1:12345678", "2:12345678", "3:12345678"}},
		{"123456789\n1\n", []string{"1!", "2:1"}},
		{"123456789\r\n1", []string{"1!", "2:1"}},
		{"123456789", []string{"1!"}},
		{"1\n1234567890\n2", []string{"1:1", "2!", "3:2"}},
		{strings.Repeat("x", 1000) + "\nok\n" + strings.Repeat("y", 1000), []string{"1!", "2:ok", "3!"}},
		{"12345678\r", []string{"1:12345678"}},
		{strings.Repeat("x", 1000) + "\r\n", []string{"1!"}},
	} {
		for name, r := range map[string]io.Reader{
			"at once": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			"with its end": iotest.DataErrReader(strings.NewReader(c.in)), "halves": iotest.HalfReader(strings.NewReader(c.in)),
		} {
			if got, err := cut(r, most); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q %s: %q, %v, want %q", c.in, name, got, err, c.want)
			}
		}
	}
}

// A line that was cut off may look whole: {"message":"m-1"} of {"message":"m-1"}9.
func TestLineReaderDropsWhatWasCutOff(t *testing.T) {
	broken := errors.New("connection reset")
	for _, in := range []string{"a\nb", "a\n" + strings.Repeat("x", 100)} {
		got, err := cut(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), 8)
		if !errors.Is(err, broken) || !reflect.DeepEqual(got, []string{"1:a"}) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestLineReaderKeepsNothingOfALongLine(t *testing.T) {
	const most = 1 << 20
	l := newLineReader(io.MultiReader(io.LimitReader(zeros{}, 100<<20), strings.NewReader("\nok\n")), most)
	for {
		line, tooLong, ok := l.next()
		if ok && !tooLong {
			if string(line) != "ok" || l.number != 2 {
				t.Fatalf("line %d: %q", l.number, line)
			}
			break
		}
		if !ok {
			l.fill()
		}
	}
	if cap(l.buf) > 2*most {
		t.Errorf("a buffer of %d bytes for lines of at most %d", cap(l.buf), most)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzLineReader(f *testing.F) {
	f.Add("a\r\n\nb", uint8(3))
	f.Add("123456789\n1\n", uint8(1))
	f.Fuzz(func(t *testing.T, in string, chunk uint8) {
		const most = 8
		var want []string
		parts := strings.Split(in, "\n")
		for i, line := range parts {
			if i == len(parts)-1 && line == "" {
				break
			}
			if line = strings.TrimSuffix(line, "\r"); len(line) > most {
				want = append(want, fmt.Sprintf("%d!", i+1))
			} else {
				want = append(want, fmt.Sprintf("%d:%s", i+1, line))
			}
		}
		got, err := cut(&chunks{strings.NewReader(in), int(chunk)%11 + 1}, most)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q in pieces of %d: %q, %v, want %q", in, chunk, got, err, want)
		}
	})
}

// chunks reads at most n bytes at once.
type chunks struct {
	r io.Reader
	n int
}

func (c *chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }
