package report

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// Sentences that mail systems and their users write.
const (
	japaneseText = "宛先のメールボックスが満杯です"
	koreanText   = "받는 사람의 편지함이 가득 찼습니다"
	chineseText  = "收件人的邮箱已满"
	taiwanText   = "收件者的信箱已滿"
	russianText  = "Почтовый ящик получателя переполнен"
	germanText   = "Das Postfach des Empfängers ist voll"
)

func encoded(tb testing.TB, e encoding.Encoding, text string) []byte {
	tb.Helper()
	b, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestCharsets(t *testing.T) {
	for _, c := range []struct {
		name, text string
		encoding   encoding.Encoding
	}{
		{"ISO-2022-JP", japaneseText, japanese.ISO2022JP},
		{"us-ascii", japaneseText, japanese.ISO2022JP}, // the header is wrong, the escapes tell
		{"Shift_JIS", japaneseText, japanese.ShiftJIS},
		{"cp932", japaneseText, japanese.ShiftJIS},
		{"Windows-31J", japaneseText, japanese.ShiftJIS},
		{"EUC-JP", japaneseText, japanese.EUCJP},
		{"EUC-KR", koreanText, korean.EUCKR},
		{"ks_c_5601-1987", koreanText, korean.EUCKR},
		{"cp949", koreanText, korean.EUCKR},
		{"GB18030", chineseText, simplifiedchinese.GB18030},
		{"gb2312", chineseText, simplifiedchinese.GBK},
		{"hz-gb-2312", chineseText, simplifiedchinese.HZGB2312},
		{"Big5", taiwanText, traditionalchinese.Big5},
		{"KOI8-R", russianText, charmap.KOI8R},
		{"windows-1251", russianText, charmap.Windows1251},
		{"IBM850", germanText, charmap.CodePage850},
		{"iso-8859-1", germanText, charmap.ISO8859_1},
		{"", germanText, charmap.Windows1252},
		{"no-such-charset", germanText, charmap.Windows1252},
		{"utf-8", russianText, encoding.Nop},
	} {
		if got := string(toUTF8(encoded(t, c.encoding, c.text), []byte(c.name))); got != c.text {
			t.Errorf("%s: %q, want %q", c.name, got, c.text)
		}
	}
}

// TestKorean7Bit reads ISO-2022-KR, which x/text knows only to refuse.
func TestKorean7Bit(t *testing.T) {
	var b strings.Builder
	b.WriteString("\x1b$)C")
	shifted := false
	for _, c := range encoded(t, korean.EUCKR, koreanText) {
		if high := c >= 0x80; high != shifted {
			shifted = high
			b.WriteByte(map[bool]byte{true: 0x0e, false: 0x0f}[high])
		}
		b.WriteByte(c & 0x7f)
	}
	if got := string(toUTF8([]byte(b.String()), []byte("iso-2022-kr"))); got != koreanText {
		t.Errorf("%q", got)
	}
}

func TestUTF7(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Das Postfach des Empf+AOQ-ngers ist voll", germanText},
		{"1 +- 1 = 2", "1 + 1 = 2"},
		{"Hi Mom +Jjo--!", "Hi Mom ☺-!"}, // RFC 2152
		{"A+ImIDkQ.", "A≢Α."},            // RFC 2152
		{"+2D3eAA-", "😀"},
		{"550 5.1.1 plain", "550 5.1.1 plain"},
		{"+A", "+A"},
		{"+", "+"},
		{"", ""},
	} {
		if got := string(toUTF8([]byte(c.in), []byte("utf-7"))); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

// TestCharsetsInReports reads a report whose words are in each charset, in its text and in its subject.
func TestCharsetsInReports(t *testing.T) {
	for name, c := range map[string]struct {
		text     string
		encoding encoding.Encoding
	}{
		"iso-2022-jp": {japaneseText, japanese.ISO2022JP},
		"shift_jis":   {japaneseText, japanese.ShiftJIS},
		"euc-kr":      {koreanText, korean.EUCKR},
		"gb18030":     {chineseText, simplifiedchinese.GB18030},
		"koi8-r":      {russianText, charmap.KOI8R},
	} {
		words := string(encoded(t, c.encoding, c.text))
		r := Read([]byte("From: MAILER-DAEMON@mx.example.com\r\nSubject: Undelivered Mail Returned to Sender\r\n" +
			"Content-Type: text/plain; charset=" + name + "\r\n\r\nThis is the mail system at host mx.example.com.\r\n\r\n" +
			"<bob@example.com>: 550 5.2.2 " + words + "\r\n"))
		if f := r.Facts[0]; f.Kind != Bounce || f.Diagnostic != "550 5.2.2 "+c.text || f.Category != "mailbox_full" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
