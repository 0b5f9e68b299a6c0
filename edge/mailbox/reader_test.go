package mailbox

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const anyMail = 1 << 20

// readAll reads all mails of src. A mail that is too large is given as "!".
func readAll(tb testing.TB, src io.Reader, single bool, maxMail int) []string {
	tb.Helper()
	var r Reader
	if err := r.Reset(src, single, maxMail); err != nil {
		tb.Fatal(err)
	}
	var mails []string
	for {
		mail, err := r.Next([]byte("kept"))
		switch {
		case errors.Is(err, io.EOF):
			if r.More() {
				tb.Error("there is more behind the end")
			}
			return mails
		case errors.Is(err, ErrTooLarge):
			mails = append(mails, "!")
		case err != nil:
			tb.Fatal(err)
		default:
			mails = append(mails, strings.TrimPrefix(string(mail), "kept"))
		}
		if !bytes.HasPrefix(mail, []byte("kept")) {
			tb.Fatalf("what was in the buffer is gone: %q", mail)
		}
	}
}

func TestReader(t *testing.T) {
	const date = "Sat Nov 21 10:00:05 2026"
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"nothing", "", []string{""}},
		{"one mail", "Subject: a\n\nFrom x " + date + "\nSubject: b\n", []string{"Subject: a\n\nFrom x " + date + "\nSubject: b\n"}},
		{"an mbox of one", "From x " + date + "\nA: b\n\nc\n", []string{"From x " + date + "\nA: b\n\nc\n"}},
		{
			"mboxrd", "From x " + date + "\nA: b\n\n>From c\n>>From d\n> From e\n>Fromm\na>From\n\nFrom y " + date + "\nA: b\n\n",
			[]string{"From x " + date + "\nA: b\n\nFrom c\n>From d\n> From e\n>Fromm\na>From\n\n", "From y " + date + "\nA: b\n\n"},
		},
		{
			"line ends of two bytes", "From x " + date + "\r\nA: b\r\n\r\nc\r\n\r\nFrom y " + date + "\r\nA: b\r\n",
			[]string{"From x " + date + "\r\nA: b\r\n\r\nc\r\n\r\n", "From y " + date + "\r\nA: b\r\n"},
		},
		{
			"other dates", "From a 2019-10-02 05:04:34 +0000\nA: b\n\nFrom - Mon, 1 Jan 2015 00:00 +0900\nA: b\n\nFrom c Thu Nov 20 20:51 PST 1997 remote from d\nA: b\n",
			[]string{"From a 2019-10-02 05:04:34 +0000\nA: b\n\n", "From - Mon, 1 Jan 2015 00:00 +0900\nA: b\n\n", "From c Thu Nov 20 20:51 PST 1997 remote from d\nA: b\n"},
		},
		{
			"a second envelope line", "From a " + date + "\n\nFrom b " + date + "\n>From c " + date + " remote from d\nA: b\n",
			[]string{"From a " + date + "\n\n", "From b " + date + "\nFrom c " + date + " remote from d\nA: b\n"},
		},
		{
			"no blank line", "From a " + date + "\nA: b\n\nc\nFrom b " + date + "\nA: b\n",
			[]string{"From a " + date + "\nA: b\n\nc\n", "From b " + date + "\nA: b\n"},
		},
		{
			"no header", "From a " + date + "\nA: b\n\nFrom b " + date + "\n\xff\x00\nc\nFrom d " + date + "\nno header\n",
			[]string{"From a " + date + "\nA: b\n\n", "From b " + date + "\n\xff\x00\nc\nFrom d " + date + "\nno header\n"},
		},
		{
			"a sentence that is a paragraph", "From a " + date + "\nA: b\n\nc\n\nFrom 9:05 on 3 May 2026 we are closed.\n\nd\n",
			[]string{"From a " + date + "\nA: b\n\nc\n\nFrom 9:05 on 3 May 2026 we are closed.\n\nd\n"},
		},
		{"empty mails", "From a " + date + "\n\nFrom b " + date + "\n\nFrom c " + date + "\n", []string{"From a " + date + "\n\n", "From b " + date + "\n\n", "From c " + date + "\n"}},
		{"a sentence", "From a " + date + "\nA: b\n\nFrom 2020 on, at 10:00:\nWe are open\n", []string{"From a " + date + "\nA: b\n\nFrom 2020 on, at 10:00:\nWe are open\n"}},
		{"a sentence before a colon", "From a " + date + "\nA: b\n\nc\nFrom 2020 on, at 10:00\nWe: open\n", []string{"From a " + date + "\nA: b\n\nc\nFrom 2020 on, at 10:00\nWe: open\n"}},
		{"no date", "From a " + date + "\nA: b\n\nFrom me\nA: b\n", []string{"From a " + date + "\nA: b\n\nFrom me\nA: b\n"}},
		{"a long line", "From a " + date + "\n\nFrom " + strings.Repeat("x", 2*maxFromLine) + date + "\nA: b\n", []string{"From a " + date + "\n\nFrom " + strings.Repeat("x", 2*maxFromLine) + date + "\nA: b\n"}},
		{"the end in a From line", "From a " + date + "\n\nFrom b " + date, []string{"From a " + date + "\n\nFrom b " + date}},
		{"one word", "From", []string{"From"}},
		{"one word more", "From ", []string{"From "}},
	} {
		for how, src := range map[string]io.Reader{
			"at once": strings.NewReader(c.file), "by bytes": iotest.OneByteReader(strings.NewReader(c.file)),
			"with the end": iotest.DataErrReader(strings.NewReader(c.file)), "packed": bytes.NewReader(pack(t, c.file)),
			"packed, by bytes": iotest.OneByteReader(bytes.NewReader(pack(t, c.file))),
		} {
			if got := readAll(t, src, false, anyMail); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s:\n got %q\nwant %q", c.name, how, got, c.want)
			}
		}
		if got := readAll(t, strings.NewReader(c.file), true, anyMail); len(got) != 1 || got[0] != c.file {
			t.Errorf("%s, single: %q", c.name, got)
		}
	}
}

func pack(tb testing.TB, text string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// TestReaderWindows has mails of all sizes around that of the window, in reads of all sizes.
func TestReaderWindows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 20 {
		var file strings.Builder
		var want []string
		for i := range 2 + random.IntN(8) {
			body := strings.Repeat("0123456\nFrom x\n\n>From\n", random.IntN(1000))
			if random.IntN(3) == 0 {
				body += strings.Repeat("x", windowSize-len(body)%windowSize-random.IntN(200))
			}
			head := fmt.Sprintf("From m%d Sat Nov 21 10:00:05 2026\nSubject: %d\n\n", i, i)
			want = append(want, head+body+"\n\n")
			file.WriteString(head + body + "\n\n")
		}
		src := &cutReader{src: strings.NewReader(file.String()), random: random}
		if got := readAll(t, src, false, 4*windowSize); !slices.Equal(got, want) {
			t.Fatalf("%d mails, want %d", len(got), len(want))
		}
	}
}

// cutReader gives as much as it likes.
type cutReader struct {
	src    io.Reader
	random *rand.Rand
}

func (c *cutReader) Read(p []byte) (int, error) {
	return c.src.Read(p[:c.random.IntN(min(len(p), 70_000)+1)])
}

func TestReaderTooLarge(t *testing.T) {
	const from = "From x Sat Nov 21 10:00:05 2026\nA: b\n\n"
	small := from + "c\n\n"
	file := small + from + strings.Repeat("x", 3*windowSize) + "\n\n" + small
	if got := readAll(t, strings.NewReader(file), false, windowSize); !slices.Equal(got, []string{small, "!", small}) {
		t.Errorf("%d mails", len(got))
	}
	if got := readAll(t, strings.NewReader(small), false, len(small)); !slices.Equal(got, []string{small}) {
		t.Errorf("a mail of the bound: %q", got)
	}
	if got := readAll(t, strings.NewReader(small), false, len(small)-1); !slices.Equal(got, []string{"!"}) {
		t.Errorf("a mail over the bound: %q", got)
	}
	// A mail that is none of an mbox has nothing behind it worth reading.
	endless := io.MultiReader(strings.NewReader("A: b\n\n"), endlessReader{})
	if got := readAll(t, endless, false, windowSize); !slices.Equal(got, []string{"!"}) {
		t.Errorf("an endless mail: %d", len(got))
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

// TestReaderFails holds that the mails before a failure are given, that the torn one is not, and that a Reader is good
// for the next file after all that.
func TestReaderFails(t *testing.T) {
	const mail = "From x Sat Nov 21 10:00:05 2026\nA: b\n\n"
	broken := errors.New("broken")
	packed := pack(t, mail+mail)
	var r Reader
	for name, c := range map[string]struct {
		src   io.Reader
		mails int
		want  error
	}{
		"at once":     {iotest.ErrReader(broken), 0, broken},
		"in the mail": {io.MultiReader(strings.NewReader(mail+mail), iotest.ErrReader(broken)), 1, broken},
		"cut short":   {bytes.NewReader(packed[:len(packed)-3]), 1, io.ErrUnexpectedEOF},
		"nothing":     {nothingReader{}, 0, io.ErrNoProgress},
	} {
		if err := r.Reset(c.src, false, anyMail); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := 0; ; i++ {
			got, err := r.Next(nil)
			if err == nil && string(got) == mail && i < c.mails {
				continue
			}
			if i != c.mails || !errors.Is(err, c.want) || len(got) > 0 {
				t.Errorf("%s: mail %d is %q, %v", name, i, got, err)
			}
			break
		}
	}
	if err := r.Reset(strings.NewReader("\x1f\x8b\x08torn"), false, anyMail); err == nil {
		t.Error("a torn gzip header is read")
	}
	if err := r.Reset(bytes.NewReader(packed), false, anyMail); err != nil {
		t.Error(err)
	} else if got, err := r.Next(nil); string(got) != mail || err != nil || !r.More() {
		t.Errorf("after failures: %q, %v", got, err)
	}
}

type nothingReader struct{}

func (nothingReader) Read([]byte) (int, error) { return 0, nil }

// FuzzReader holds that cutting a file apart loses nothing but quotes, and that how it is read changes nothing.
func FuzzReader(f *testing.F) {
	const from = "From x Sat Nov 21 10:00:05 2026\n"
	for _, seed := range []string{"", from + "Content-Length: 9\n\n" + from + from, from + "Content-Length: 44\n\n" + from + from, "A: b\n\nc", from + "A: b\n\n>From c\n\n" + from + "A: b\n", from + from + "\r\n" + from, ">>From >From From \n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if bytes.HasPrefix(file, []byte{0x1f, 0x8b, 8}) {
			return
		}
		mails := readAll(t, bytes.NewReader(file), false, len(file))
		if got := readAll(t, iotest.OneByteReader(bytes.NewReader(file)), false, len(file)); !slices.Equal(got, mails) {
			t.Fatalf("by bytes %q, at once %q", got, mails)
		}
		if got := strings.ReplaceAll(strings.Join(mails, ""), ">", ""); got != strings.ReplaceAll(string(file), ">", "") {
			t.Fatalf("%q becomes %q", file, mails)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	mail := "From x Sat Nov 21 10:00:05 2026\nSubject: a\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 80) + "\n"
	file := []byte(strings.Repeat(mail, 1000))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	var r Reader
	var dst []byte
	for b.Loop() {
		if err := r.Reset(bytes.NewReader(file), false, anyMail); err != nil {
			b.Fatal(err)
		}
		for {
			var err error
			if dst, err = r.Next(dst[:0]); err != nil {
				break
			}
		}
	}
}
