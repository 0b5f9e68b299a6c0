package ref

import (
	"encoding/base32"
	"encoding/base64"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"carom/pipeline/event"
)

// rawToken returns the bytes of an authentic token for any plaintext, which Seal wouldn't make.
func rawToken(t testing.TB, keyID byte, p Purpose, plain []byte) []byte {
	t.Helper()
	nonce := fixedNonce(8)
	raw := append([]byte{tokenVersion, keyID}, nonce[:]...)
	return sealer(t, keyID).seal.url.Seal(raw, nonce[:], plain, []byte{tokenVersion, keyID, byte(p)})
}

func text64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func text32(raw []byte) string {
	return base32.NewEncoding(base32Alphabet).WithPadding(base32.NoPadding).EncodeToString(raw)
}

// flipped returns a copy of raw with one bit another.
func flipped(raw []byte, at int, bit byte) []byte {
	c := append([]byte(nil), raw...)
	c[at] ^= bit
	return c
}

// reheaded returns a copy of raw with another version and key id.
func reheaded(raw []byte, version, id byte) []byte {
	c := append([]byte(nil), raw...)
	c[0], c[1] = version, id
	return c
}

func refuseURLs(t *testing.T, v *vectors) {
	add := func(name string, p Purpose, token, err string) {
		v.Refused = append(v.Refused, refusedVector{name, "url", string(rune(p)), token, err})
	}
	plain := appendPlain(nil, &event.Ref{Account: "acme", Sender: "alice", Message: "m-12"})
	raw := rawToken(t, 255, OpenPixel, plain)
	good := text64(raw)
	if len(raw)%3 == 0 {
		t.Fatal("the text has no bits behind its last byte: change the plaintext")
	}

	add("nothing", OpenPixel, "", "malformed")
	add("too short", OpenPixel, text64(raw[:minToken-1]), "malformed")
	add("too long", OpenPixel, strings.Repeat("AQ", MaxTokenLen/2)+"AQ", "malformed")
	add("with padding", OpenPixel, base64.URLEncoding.EncodeToString(raw), "malformed")
	add("with a line break", OpenPixel, good[:40]+"\r\n"+good[40:], "malformed")
	add("with a blank", OpenPixel, " "+good, "malformed")
	add("in the standard alphabet", OpenPixel, good[:40]+"+/"+good[42:], "malformed")
	add("beyond ASCII", OpenPixel, good[:40]+"é"+good[42:], "malformed")
	add("bits set behind the last byte", OpenPixel, good[:len(good)-1]+string(good[len(good)-1]+1), "malformed")

	add("version 0", OpenPixel, text64(reheaded(raw, 0, 255)), "version")
	add("version 2", OpenPixel, text64(reheaded(raw, 2, 255)), "version")
	add("key 0", OpenPixel, text64(reheaded(raw, 1, 0)), "unknown_key")
	add("unknown key", OpenPixel, text64(rawToken(t, 8, OpenPixel, plain)), "unknown_key")
	add("retired key", OpenPixel, text64(rawToken(t, 9, OpenPixel, plain)), "retired")

	add("open as a click", Click, good, "forged")
	add("open as an unsubscribe", Unsubscribe, good, "forged")
	add("open as a header", Header, good, "forged")
	add("open as a self", Self, good, "forged")
	add("another key's", OpenPixel, text64(reheaded(raw, 1, 7)), "forged")
	add("nonce changed", OpenPixel, text64(flipped(raw, nonceAt, 0x80)), "forged")
	add("ciphertext changed", OpenPixel, text64(flipped(raw, sealedAt, 1)), "forged")
	add("tag changed", OpenPixel, text64(flipped(raw, len(raw)-1, 1)), "forged")
	add("cut short", OpenPixel, text64(raw[:len(raw)-1]), "forged")
	add("a byte more", OpenPixel, text64(append(append([]byte(nil), raw...), 0)), "forged")

	for _, c := range invalidRefs() {
		add(c.name, c.p, text64(rawToken(t, 255, c.p, c.plain)), c.err)
	}
}

type invalidRef struct {
	name  string
	p     Purpose
	plain []byte
	err   string
}

// invalidRefs returns plaintexts that are refused although they are authentic.
func invalidRefs() []invalidRef {
	ref := func(change func(*event.Ref)) []byte {
		r := event.Ref{Account: "acme", Sender: "alice", Message: "m-1", URL: "https://example.com/"}
		change(&r)
		return appendPlain(nil, &r)
	}
	url := func(u string) []byte { return ref(func(r *event.Ref) { r.URL = u }) }
	with := func(more ...byte) []byte { return append(url(""), more...) }
	number := func(field protowire.Number, n uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(url(""), field, protowire.VarintType), n)
	}
	return []invalidRef{
		{"no plaintext", OpenPixel, nil, "invalid"},
		{"no sender", OpenPixel, ref(func(r *event.Ref) { r.Sender = "" }), "invalid"},
		{"no sender in a self", Self, ref(func(r *event.Ref) { r.Sender = "" }), "invalid"},
		{"no message", OpenPixel, ref(func(r *event.Ref) { r.Message = "" }), "invalid"},
		{"no message between its brackets", OpenPixel, ref(func(r *event.Ref) { r.Message = "<>" }), "invalid"},
		{"line break in an id", OpenPixel, ref(func(r *event.Ref) { r.Sender = "a\r\nb" }), "invalid"},
		{"NUL in an id", OpenPixel, ref(func(r *event.Ref) { r.Message = "enrollment\x00" }), "invalid"},
		{"DEL in an id", OpenPixel, ref(func(r *event.Ref) { r.Contact = "\x7f" }), "invalid"},
		{"id not UTF-8", OpenPixel, ref(func(r *event.Ref) { r.Sequence = "\xff" }), "invalid"},
		{"ids too long", OpenPixel, ref(func(r *event.Ref) { r.Contact = strings.Repeat("c", MaxIDs-4-5-3+1) }), "invalid"},
		{"sent after the year 9999", OpenPixel, number(fieldSentAt, uint64(maxMillis)+1), "invalid"},
		{"sent before 1970", OpenPixel, number(fieldSentAt, 1<<64-1), "invalid"},
		{"flags of more than 32 bits", OpenPixel, number(fieldFlags, 1<<32), "invalid"},
		{"link of more than 32 bits", OpenPixel, number(fieldLink, 1<<32), "invalid"},
		{"field cut short", OpenPixel, with(0x22, 5, 'c'), "invalid"},
		{"text as a number", OpenPixel, with(0x20, 1), "invalid"},
		{"number as text", OpenPixel, with(0x42, 1, 1), "invalid"},
		{"field number 0", OpenPixel, with(0x00, 1), "invalid"},

		{"no URL", Click, url(""), "url"},
		{"javascript", Click, url("javascript:alert(1)"), "url"},
		{"ftp", Click, url("ftp://example.com/"), "url"},
		{"no scheme", Click, url("example.com/"), "url"},
		{"relative to a scheme", Click, url("//example.com/"), "url"},
		{"one slash", Click, url("https:/example.com/"), "url"},
		{"no host", Click, url("https:///example.com"), "url"},
		{"a port and no host", Click, url("https://:443/"), "url"},
		{"a user and no host", Click, url("https://user@/"), "url"},
		{"backslash before the host", Click, url(`https://\example.com/`), "url"},
		{"line break in a URL", Click, url("https://example.com/\r\nSet-Cookie: a=b"), "url"},
		{"NUL in a URL", Click, url("https://example.com/\x00"), "url"},
		{"tab in a URL", Click, url("https://example.com/\t"), "url"},
		{"blank in a URL", Click, url("https://example.com/a b"), "url"},
		{"DEL in a URL", Click, url("https://example.com/\x7f"), "url"},
		{"URL too long", Click, url("https://example.com/?" + strings.Repeat("x", MaxURL-20)), "url"},
	}
}

func refuseAddresses(t *testing.T, v *vectors) {
	add := func(name string, p Purpose, token, err string) {
		v.Refused = append(v.Refused, refusedVector{name, "address", string(rune(p)), token, err})
	}
	key := event.KeyOf("acme", "m-1")
	good := string(sealer(t, 255).SealAddress(nil, ReturnPath, key))
	raw, ok := decodeAddress(good)
	if !ok {
		t.Fatal("the good address token doesn't decode")
	}
	add("nothing", ReturnPath, "", "malformed")
	add("a character short", ReturnPath, good[:len(good)-1], "malformed")
	add("a character more", ReturnPath, good+"a", "malformed")
	add("with padding", ReturnPath, good+"===", "malformed")
	add("with a 1", ReturnPath, "1"+good[1:], "malformed")
	add("beyond ASCII", ReturnPath, "ä"+good[2:], "malformed")
	add("the bit set behind the last byte", ReturnPath, good[:len(good)-1]+string(base32Alphabet[base32Value[good[len(good)-1]]+1]), "malformed")

	add("version 2", ReturnPath, text32(reheaded(raw[:], 2, 255)), "version")
	add("key 0", ReturnPath, text32(reheaded(raw[:], 1, 0)), "unknown_key")
	add("unknown key", ReturnPath, string(sealer(t, 8).SealAddress(nil, ReturnPath, key)), "unknown_key")
	add("retired key", ReturnPath, string(sealer(t, 9).SealAddress(nil, ReturnPath, key)), "retired")

	add("return path as a reply address", ReplyTo, good, "forged")
	add("return path as an unsubscribe", MailtoUnsubscribe, good, "forged")
	add("another key's", ReturnPath, text32(reheaded(raw[:], 1, 7)), "forged")
	add("message key changed", ReturnPath, text32(flipped(raw[:], keyAt, 1)), "forged")
	add("MAC changed", ReturnPath, text32(flipped(raw[:], addressLen-1, 1)), "forged")
}
