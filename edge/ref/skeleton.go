package ref

import (
	"errors"

	"carom/pipeline/event"
)

// Purpose keeps a token from serving for anything but what it was made for.
type Purpose byte

const (
	OpenPixel   Purpose = 'o'
	Click       Purpose = 'c'
	Unsubscribe Purpose = 'u'
	Header      Purpose = 'h'

	ReturnPath        Purpose = 'b'
	ReplyTo           Purpose = 'r'
	MailtoUnsubscribe Purpose = 'u'
)

var (
	ErrMalformed  = errors.New("ref: malformed token")
	ErrVersion    = errors.New("ref: token of a newer version")
	ErrUnknownKey = errors.New("ref: token of an unknown key")
	ErrRetired    = errors.New("ref: token of a retired key")
	ErrForged     = errors.New("ref: forged token")
	ErrInvalid    = errors.New("ref: invalid reference")
	ErrURL        = errors.New("ref: URL not allowed")
)

// DefaultAccount is the account of a ref that names none.
const DefaultAccount = "default"

// MaxTokenLen is the longest text of a URL token in bytes.
const MaxTokenLen = 12000

type Keyring struct{}

func ReadKeyring(file string) (*Keyring, error)  { panic("BUG: not written yet") }
func ParseKeyring(data []byte) (*Keyring, error) { panic("BUG: not written yet") }
func NewKeyFile() ([]byte, error)                { panic("BUG: not written yet") }
func RotateKeyFile(old []byte) ([]byte, error)   { panic("BUG: not written yet") }
func (k *Keyring) Warning() string               { panic("BUG: not written yet") }
func (k *Keyring) ClientKey() [32]byte           { panic("BUG: not written yet") }
func (k *Keyring) Seal(dst []byte, p Purpose, r *event.Ref) ([]byte, error) {
	panic("BUG: not written yet")
}

// Opened is what a URL token sealed. The strings of Ref are valid until the next Open into it.
type Opened struct {
	Ref event.Ref
	Key event.Key
	buf []byte
}

func (k *Keyring) Open(p Purpose, token []byte, into *Opened) error { panic("BUG: not written yet") }
func (k *Keyring) SealAddress(dst []byte, p Purpose, key event.Key) []byte {
	panic("BUG: not written yet")
}
func (k *Keyring) OpenAddress(p Purpose, token string) (event.Key, error) {
	panic("BUG: not written yet")
}
func CheckURL(u string) error { panic("BUG: not written yet") }

type Message struct {
	event.Ref
	Links []string
}

type Links struct {
	Message        string   `json:"message"`
	OpenURL        string   `json:"open_url"`
	ClickURLs      []string `json:"click_urls"`
	HoneypotURL    string   `json:"honeypot_url"`
	UnsubscribeURL string   `json:"unsubscribe_url"`
	ReturnPath     string   `json:"return_path"`
	ReplyTo        string   `json:"reply_to"`
	Headers        Headers  `json:"headers"`
}

type Headers struct {
	Ref                 string `json:"X-Carom-Ref"`
	ListUnsubscribe     string `json:"List-Unsubscribe"`
	ListUnsubscribePost string `json:"List-Unsubscribe-Post"`
}

type MinterOptions struct {
	TrackBaseURL string
	BounceDomain string
	ReplyDomain  string
}

type Minter struct{}

func NewMinter(k *Keyring, o MinterOptions) (*Minter, error) { panic("BUG: not written yet") }
func (m *Minter) Mint(msg Message) (Links, error)            { panic("BUG: not written yet") }
