package ref

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// publishedVectors returns the vectors as they are in the file: the seeds of the fuzzers.
func publishedVectors(tb testing.TB) vectors {
	tb.Helper()
	data, err := os.ReadFile(vectorsFile)
	if err != nil {
		tb.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// FuzzOpen: whatever opens is acceptable, and its text is the one that its bytes have.
func FuzzOpen(f *testing.F) {
	v := publishedVectors(f)
	for _, u := range v.URLs {
		f.Add(u.Purpose[0], []byte(u.Token))
	}
	for _, r := range v.Refused {
		f.Add(r.Purpose[0], []byte(r.Token))
	}
	k := keyring(f, vectorKeys...)
	f.Fuzz(func(t *testing.T, p byte, token []byte) {
		before := string(token)
		var o Opened
		err := k.Open(Purpose(p), token, &o)
		if string(token) != before {
			t.Fatal("Open changed the token")
		}
		if err != nil {
			if o.Ref != (event.Ref{}) || o.Key != (event.Key{}) {
				t.Fatalf("a refused token leaves %+v", o.Ref)
			}
			return
		}
		if err := check(&o.Ref, Purpose(p)); err != nil {
			t.Fatalf("opened %+v: %v", o.Ref, err)
		}
	})
}

// FuzzPlaintext feeds authentic tokens of any plaintext to Open. What is accepted can be sealed again and then opens
// the same.
func FuzzPlaintext(f *testing.F) {
	for _, r := range invalidRefs() {
		f.Add(byte(r.p), r.plain)
	}
	f.Add(byte(Click), appendPlain(nil, &typical))
	k := keyring(f, "255 seal")
	f.Fuzz(func(t *testing.T, p byte, plain []byte) {
		purpose := urlPurposes[int(p)%len(urlPurposes)]
		var o, again Opened
		if k.Open(purpose, []byte(text64(rawToken(t, 255, purpose, plain))), &o) != nil {
			return
		}
		if err := k.Open(purpose, sealed(t, k, purpose, o.Ref), &again); err != nil || again.Ref != o.Ref || again.Key != o.Key {
			t.Fatalf("opened %+v, then %+v, %v", o.Ref, again.Ref, err)
		}
	})
}

// FuzzSeal: what can be sealed opens as its normalised self.
func FuzzSeal(f *testing.F) {
	for i, p := range urlPurposes {
		f.Add(byte(i), "acme", "alice", "q4", "c-1", "<m-1>", uint32(1), "https://example.com/", int64(1), uint32(p))
	}
	k := keyring(f, "1 seal")
	f.Fuzz(func(t *testing.T, p byte, account, sender, sequence, contact, message string, link uint32, url string, sentAt int64, flags uint32) {
		purpose := urlPurposes[int(p)%len(urlPurposes)]
		r := event.Ref{
			Account: account, Sender: sender, Sequence: sequence, Contact: contact, Message: message,
			Link: link, URL: url, SentAt: event.Millis(sentAt), Flags: event.Flags(flags),
		}
		token, err := k.Seal(nil, purpose, &r)
		if err != nil {
			return
		}
		if len(token) > MaxTokenLen || purpose != Click && len(token) > maxBareTokenLen {
			t.Fatalf("%c token of %d characters", purpose, len(token))
		}
		var o Opened
		if err := k.Open(purpose, token, &o); err != nil {
			t.Fatal(err)
		}
		normalise(&r, purpose)
		if o.Ref != r {
			t.Fatalf("opened\n%+v, want\n%+v", o.Ref, r)
		}
	})
}

func FuzzOpenAddress(f *testing.F) {
	v := publishedVectors(f)
	for _, a := range v.Addresses {
		f.Add(a.Purpose[0], a.Token)
	}
	for _, r := range v.Refused {
		f.Add(r.Purpose[0], r.Token)
	}
	k := keyring(f, "255 seal")
	f.Fuzz(func(t *testing.T, p byte, token string) {
		key, err := k.OpenAddress(Purpose(p), token)
		if err != nil {
			return
		}
		if again := string(k.SealAddress(nil, Purpose(p), key)); again != strings.ToLower(token) {
			t.Fatalf("%q opens, and so does %q", token, again)
		}
	})
}

// FuzzParseKeyring: a keys file that is read can also be rotated, and then still opens what it sealed.
func FuzzParseKeyring(f *testing.F) {
	f.Add(keyFile("1 seal"))
	f.Add(keyFile("1 retired", "2 open", "3 seal"))
	f.Add([]byte(`{"version":1,"keys":[{"id":1,"state":"seal","secret":"` + secretOf(1) + `"}]}`))
	f.Add([]byte("version: 1\nkeys: &a [*a]\n"))
	f.Add([]byte("# keys\n? version\n: 1\n? keys\n: - {id: 0x1}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKeyring(data)
		if err != nil {
			return
		}
		token := sealed(t, k, Click, typical)
		rotated, err := RotateKeyFile(data)
		if err != nil {
			if k.keys[maxKeyID] == nil {
				t.Fatalf("read, but not rotated: %v", err)
			}
			return
		}
		again, err := ParseKeyring(rotated)
		if err != nil {
			t.Fatalf("rotated, but not read: %v in\n%s", err, rotated)
		}
		if err := again.Open(Click, token, new(Opened)); err != nil {
			t.Fatal(err)
		}
	})
}
