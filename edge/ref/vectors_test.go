package ref

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"carom/pipeline/event"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

// vectors is the published contract: what an implementation in any language must make and refuse.
type vectors struct {
	About       []string        `json:"about"`
	Keys        []keyVector     `json:"keys"`
	ClientKey   string          `json:"client_key"`
	MessageKeys []messageVector `json:"message_keys"`
	URLs        []urlVector     `json:"url_tokens"`
	Addresses   []addressVector `json:"address_tokens"`
	Refused     []refusedVector `json:"refused"`
}

type keyVector struct {
	ID         byte   `json:"id"`
	State      string `json:"state"`
	Secret     string `json:"secret"`
	URLKey     string `json:"url_key"`
	AddressKey string `json:"address_key"`
}

type messageVector struct {
	Account string `json:"account"`
	Message string `json:"message"`
	Key     string `json:"key"`
}

type urlVector struct {
	Name      string     `json:"name"`
	Purpose   string     `json:"purpose"`
	KeyID     byte       `json:"key_id"`
	Nonce     string     `json:"nonce"`
	Ref       *refVector `json:"ref"`
	Opened    *refVector `json:"opened,omitempty"`
	Plaintext string     `json:"plaintext"`
	Token     string     `json:"token"`
}

type refVector struct {
	Account  string `json:"account"`
	Sender   string `json:"sender"`
	Sequence string `json:"sequence"`
	Contact  string `json:"contact"`
	Message  string `json:"message"`
	Link     uint32 `json:"link"`
	URL      string `json:"url"`
	SentAt   int64  `json:"sent_at"`
	Flags    uint32 `json:"flags"`
}

type addressVector struct {
	Purpose string `json:"purpose"`
	KeyID   byte   `json:"key_id"`
	Account string `json:"account"`
	Message string `json:"message"`
	Token   string `json:"token"`
}

type refusedVector struct {
	Name    string `json:"name"`
	Form    string `json:"form"`
	Purpose string `json:"purpose"`
	Token   string `json:"token"`
	Error   string `json:"error"`
}

func (v *refVector) ref() event.Ref {
	return event.Ref{
		Account: v.Account, Sender: v.Sender, Sequence: v.Sequence, Contact: v.Contact, Message: v.Message,
		Link: v.Link, URL: v.URL, SentAt: event.Millis(v.SentAt), Flags: event.Flags(v.Flags),
	}
}

func vectorOf(r event.Ref) *refVector {
	return &refVector{
		r.Account, r.Sender, r.Sequence, r.Contact, r.Message, r.Link, r.URL, int64(r.SentAt), uint32(r.Flags),
	}
}

// refusals are the published names of the errors.
var refusals = map[string]error{
	"malformed": ErrMalformed, "version": ErrVersion, "unknown_key": ErrUnknownKey, "retired": ErrRetired,
	"forged": ErrForged, "invalid": ErrInvalid, "url": ErrURL,
}

// vectorKeys are the keys of the vectors: one that seals, one that only opens, one retired.
var vectorKeys = []string{"7 open", "9 retired", "255 seal"}

// sealer returns a keyring in which the vectors' key of that id seals, whatever its state there.
func sealer(tb testing.TB, id byte) *Keyring {
	tb.Helper()
	return keyring(tb, strconv.Itoa(int(id))+" seal")
}

func TestVectors(t *testing.T) {
	want := makeVectors(t)
	if *update {
		writeVectors(t, want)
	}
	data, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, encodeVectors(t, want)) {
		t.Errorf("%s is not what the code makes: tokens that are out there may have become unreadable", vectorsFile)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	k := keyring(t, vectorKeys...)
	if got := k.ClientKey(); hex.EncodeToString(got[:]) != v.ClientKey {
		t.Errorf("client key %x, want %s", got, v.ClientKey)
	}
	for _, m := range v.MessageKeys {
		if got := event.KeyOf(m.Account, m.Message).String(); got != m.Key {
			t.Errorf("key of %q, %q: %s, want %s", m.Account, m.Message, got, m.Key)
		}
	}
	for _, u := range v.URLs {
		t.Run("url/"+u.Name, func(t *testing.T) { checkURLVector(t, k, u) })
	}
	for _, a := range v.Addresses {
		t.Run("address/"+a.Purpose, func(t *testing.T) { checkAddressVector(t, k, a) })
	}
	for _, r := range v.Refused {
		t.Run("refused/"+r.Name, func(t *testing.T) { checkRefusedVector(t, k, r) })
	}
}

func checkURLVector(t *testing.T, k *Keyring, u urlVector) {
	var o Opened
	if err := k.Open(Purpose(u.Purpose[0]), []byte(u.Token), &o); err != nil {
		t.Fatal(err)
	}
	want := u.Ref.ref()
	if u.Opened != nil {
		want = u.Opened.ref()
	}
	if o.Ref != want {
		t.Errorf("opened\n%+v, want\n%+v", o.Ref, want)
	}
	key := event.KeyOf(want.Account, want.Message)
	if u.Purpose == "s" {
		key = event.Key{}
	}
	if o.Key != key {
		t.Errorf("message key %s", o.Key)
	}
}

func checkAddressVector(t *testing.T, k *Keyring, a addressVector) {
	for _, token := range []string{a.Token, strings.ToUpper(a.Token)} {
		key, err := k.OpenAddress(Purpose(a.Purpose[0]), token)
		if err != nil {
			t.Fatal(err)
		}
		if want := event.KeyOf(a.Account, a.Message); key != want {
			t.Errorf("message key %s, want %s", key, want)
		}
	}
}

func checkRefusedVector(t *testing.T, k *Keyring, r refusedVector) {
	var err error
	if r.Form == "url" {
		err = k.Open(Purpose(r.Purpose[0]), []byte(r.Token), new(Opened))
	} else {
		_, err = k.OpenAddress(Purpose(r.Purpose[0]), r.Token)
	}
	if want := refusals[r.Error]; want == nil || !errors.Is(err, want) {
		t.Errorf("%v, want %s", err, r.Error)
	}
}

func encodeVectors(t *testing.T, v vectors) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeVectors(t *testing.T, v vectors) {
	t.Helper()
	if err := os.WriteFile(vectorsFile, encodeVectors(t, v), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fixedNonce returns a nonce that is different for every n.
func fixedNonce(n int) *[chacha20poly1305.NonceSizeX]byte {
	var b [chacha20poly1305.NonceSizeX]byte
	for i := range b {
		b[i] = byte(0x40 + n*len(b) + i)
	}
	return &b
}
