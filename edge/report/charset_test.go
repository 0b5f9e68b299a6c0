package report

import (
	"encoding/base64"
	"mime/quotedprintable"
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

// utf7Russian is russianText in UTF-7, which x/text does not write.
const utf7Russian = "+BB8EPgRHBEIEPgQyBEsEOQ- +BE8ESQQ4BDo- +BD8EPgQ7BEMERwQwBEIENQQ7BE8- +BD8ENQRABDUEPwQ+BDsEPQQ1BD0-"

// TestCharsetsInMails reads whole mails whose words are in each charset and in each transfer encoding: the words alone tell
// why the delivery failed, what the subject says and what a machine answered.
func TestCharsetsInMails(t *testing.T) {
	for _, c := range []struct {
		charset, text, away string
		encoding            encoding.Encoding
	}{
		{"iso-2022-jp", japaneseText, "これは自動返信です", japanese.ISO2022JP},
		{"shift_jis", japaneseText, "これは自動返信です", japanese.ShiftJIS},
		{"euc-jp", japaneseText, "これは自動返信です", japanese.EUCJP},
		{"euc-kr", koreanText, "자동 응답 메일입니다", korean.EUCKR},
		{"gb18030", chineseText, "这是自动回复", simplifiedchinese.GB18030},
		{"gb2312", chineseText, "这是自动回复", simplifiedchinese.GBK},
		{"big5", taiwanText, "這是自動回覆", traditionalchinese.Big5},
		{"koi8-r", russianText, "Это автоматический ответ", charmap.KOI8R},
		{"utf-7", russianText, "", nil},
		{"utf-8", russianText, "Это автоматический ответ", encoding.Nop},
	} {
		words := utf7Russian
		if c.encoding != nil {
			words = string(encoded(t, c.encoding, c.text))
		}
		subject := "=?" + c.charset + "?B?" + base64.StdEncoding.EncodeToString([]byte(words)) + "?="
		for _, transfer := range []string{"8bit", "base64", "quoted-printable"} {
			about := c.charset + ", " + transfer
			part := "Content-Type: text/plain; charset=\"" + c.charset + "\"\r\nContent-Transfer-Encoding: " + transfer + "\r\n\r\n"
			notice := "This is the mail system at host mx.example.com.\r\n\r\n<bob@example.com>: 550 " + words + "\r\n"
			r := Read([]byte("From: MAILER-DAEMON@mx.example.com\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\n" + part + wrapped(t, transfer, notice)))
			if f := r.Facts[0]; r.Subject != c.text || f.Decoder != "postfix" || f.Diagnostic != "550 "+c.text || f.Category != "mailbox_full" {
				t.Errorf("%s: a notice: %q %+v", about, r.Subject, f)
			}

			r = Read([]byte("From: MAILER-DAEMON@mx.example.com\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\n" +
				"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n" + part + wrapped(t, transfer, "<bob@example.com>:\r\n"+words+"\r\n") +
				"\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; bob@example.com\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n--b--\r\n"))
			if f := r.Facts[0]; r.Subject != c.text || f.Decoder != "delivery-status" || f.Diagnostic != c.text || f.Category != "mailbox_full" {
				t.Errorf("%s: a report: %q %+v", about, r.Subject, f)
			}

			if c.away == "" {
				continue
			}
			said := string(encoded(t, c.encoding, c.text))
			r = Read([]byte("From: MAILER-DAEMON@mx.example.com\r\nMIME-Version: 1.0\r\n" +
				"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n" + part + wrapped(t, transfer, words) +
				"\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; bob@example.com\r\nAction: failed\r\nDiagnostic-Code: smtp; 550 " + said + "\r\n\r\n--b--\r\n"))
			if f := r.Facts[0]; f.Diagnostic != "550 "+c.text || f.Category != "mailbox_full" {
				t.Errorf("%s: a diagnostic: %+v", about, f)
			}
			answer := string(encoded(t, c.encoding, c.away))
			r = Read([]byte("From: bob@example.com\r\nSubject: Re: The spring\r\nIn-Reply-To: <m@example.com>\r\nMIME-Version: 1.0\r\n" + part + wrapped(t, transfer, answer+"\r\n")))
			if f := r.Facts[0]; f.Kind != AutoReply {
				t.Errorf("%s: an auto-reply: %+v", about, f)
			}
		}
	}
}

// wrapped is a text in a transfer encoding.
func wrapped(tb testing.TB, transfer, text string) string {
	tb.Helper()
	switch transfer {
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n"
	case "quoted-printable":
		var b strings.Builder
		w := quotedprintable.NewWriter(&b)
		if _, err := w.Write([]byte(text)); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
		return b.String()
	}
	return text
}
