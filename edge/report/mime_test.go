package report

import (
	"fmt"
	"strings"
	"testing"
)

// leaves describes the leaves of a mail: type and body.
func leaves(mail string) string {
	r := getReader()
	defer r.put()
	r.body, _ = r.head.parseMessage([]byte(mail))
	r.walk(r.head[fContentType], r.head[fEncoding], r.body, 0)
	var s []string
	for _, p := range r.parts {
		s = append(s, fmt.Sprintf("%d:%s", p.typ, strings.ReplaceAll(string(p.body), "\n", "|")))
	}
	return strings.Join(s, " ")
}

func TestWalk(t *testing.T) {
	const head = "From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n"
	for _, c := range []struct{ name, mail, want string }{
		{"no type", "From: a@b\n\nhi", "1:hi"},
		{"text", "Content-Type: text/plain; charset=utf-8\n\nhi", "1:hi"},
		{"html", "Content-Type: TEXT/HTML\n\nhi", "2:hi"},
		{"odd", "Content-Type: application/pdf\n\nhi", "0:hi"},
		{"two parts", head + "preamble\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n--b--\nepilogue", "1:one 2:two"},
		{"quoted boundary", "Content-Type: multipart/mixed; charset=x; boundary=\"a b\"\n\n--a b\n\none\n--a b--", "1:one"},
		{"unquoted odd boundary", "Content-Type: multipart/mixed;\n boundary==_a/b:c\n\n--=_a/b:c\n\none\n--=_a/b:c--", "1:one"},
		{"unfinished quote", "Content-Type: multipart/mixed; boundary=\"b\n\n--b\n\none\n--b--", "1:one"},
		{"a longer line is no delimiter", head + "--b\n\none\n--bb\ntwo\n--b--", "1:one|--bb|two"},
		{"in the middle of a line", head + "--b\n\none --b\n--b--", "1:one --b"},
		{"blanks behind", head + "--b \t\n\none\n--b--  \n", "1:one"},
		{"unclosed", head + "--b\n\none\n--b\n\ntwo", "1:one 1:two"},
		{"empty part", head + "--b\n--b\n\ntwo\n--b--", "1: 1:two"},
		{"header alone", head + "--b\nContent-Type: text/html\n--b\n\ntwo\n--b--", "2: 1:two"},
		{"no header, no blank line", head + "--b\nHi. This is\nme\n--b--", "1:Hi. This is|me"},
		{"nested", head + "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c\nContent-Type: text/html\n\ntwo\n--c--\n\n--b\n\nthree\n--b--", "1:one 2:two 1:three"},
		{"nested, same prefix", head + "--b\nContent-Type: multipart/alternative; boundary=bc\n\n--bc\n\none\n--bc--\n--b\n\ntwo\n--b--", "1:one 1:two"},
		{"wrong boundary", "Content-Type: multipart/mixed; boundary=c\n\n--b\nContent-Type: text/html\n\none\n--b--", "2:one"},
		{"no boundary", "Content-Type: multipart/mixed\n\n--b\nContent-Type: text/html\n\none\n--b--", "2:one"},
		{"no parts", "Content-Type: multipart/mixed; boundary=b\n\nwords", "1:words"},
		{"closed at once", "Content-Type: multipart/mixed; boundary=b\n\n--b--\nwords", "1:--b--|words"},
		{"status, returned last", "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nA: b\n--b\nContent-Type: message/rfc822\n\nC: d\n\nx\n--b\n\nlost\n--b--", "3:A: b 6:C: d||x|--b||lost|--b--"},
		{"returned first", "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nC: d\n--b\nContent-Type: message/delivery-status\n\nA: b\n--b--", "6:C: d 3:A: b"},
	} {
		if got := leaves(c.mail); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		crlf := leaves(strings.ReplaceAll(c.mail, "\n", "\r\n"))
		if want := strings.ReplaceAll(c.want, "|", "\r|"); crlf != want {
			t.Errorf("%s with CRLF: %q, want %q", c.name, crlf, want)
		}
	}
}

func TestParameter(t *testing.T) {
	for _, c := range []struct{ value, name, want string }{
		{"a/b; charset=utf-8", "charset", "utf-8"},
		{"a/b; CharSet = \"utf-8\" ; x=y", "charset", "utf-8"},
		{"a/b;charset=utf-8;boundary=\"a;b\"", "boundary", "a;b"},
		{"a/b; xboundary=a; boundary=b", "boundary", "b"},
		{"a/b; boundary", "boundary", ""},
		{"a/b; boundary=", "boundary", ""},
		{"a/b; boundary=\"\"; boundary=c", "boundary", ""},
		{"", "boundary", ""},
	} {
		if got := string(parameter([]byte(c.value), c.name)); got != c.want {
			t.Errorf("%s of %q: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func TestTransferEncodings(t *testing.T) {
	for _, c := range []struct {
		encoding, in, want string
	}{
		{"7bit", "a=3D\n", "a=3D\n"},
		{"", "YQ==", "YQ=="},
		{"BASE64", "aGVs\r\nbG8=", "hello"},
		{"base64", "aGVsbG8", "hello"},
		{"base64", "aG!V*sbG8= trailing", "hello\xb6\xb6\x9f\x8a\x7c"[:5] + "\xb6\xb5\xa9\x8a\x78"},
		{"base64", "=", ""},
		{"base64", "a", ""},
		{"quoted-printable", "a=3Db", "a=b"},
		{"quoted-printable", "a=3db=\r\nc", "a=bc"},
		{"quoted-printable", "a= \t\r\nc", "ac"},
		{"quoted-printable", "a=\nc", "ac"},
		{"quoted-printable", "a=ZZ=4", "a=ZZ=4"},
		{"quoted-printable", "a=", "a"},
		{"quoted-printable", "plain", "plain"},
	} {
		var scratch []byte
		got := parseEncoding([]byte(c.encoding)).decode([]byte(c.in), maxText, &scratch)
		if c.encoding == "base64" && strings.Contains(c.in, "trailing") {
			got, c.want = got[:5], c.want[:5]
		}
		if string(got) != c.want {
			t.Errorf("%s %q: %q, want %q", c.encoding, c.in, got, c.want)
		}
	}
}

func TestToUTF8(t *testing.T) {
	for _, c := range []struct{ in, charset, want string }{
		{"plain", "", "plain"},
		{"grün", "iso-8859-1", "grün"},
		{"gr\xfcn", "iso-8859-1", "grün"},
		{"gr\xfcn", "", "grün"},
		{"gr\xfcn", "no such charset", "grün"},
		{"\x1b$B<+F01~Ez\x1b(B", "us-ascii", "自動応答"},
		{"\x8e\xa9\x93\xae", "shift_jis", "自動"},
		{"\xc0\xda", "koi8-r", "юз"},
		{"\xc0\xda", "koi8-r; x", "ÀÚ"},
		{"\xd7\xd4\xb6\xaf", "gb18030", "自动"},
	} {
		if got := string(toUTF8([]byte(c.in), []byte(c.charset))); got != c.want {
			t.Errorf("%q in %s: %q, want %q", c.in, c.charset, got, c.want)
		}
	}
}
