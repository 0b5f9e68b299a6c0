package ref

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"carom/pipeline/event"
)

// The cookie of a sender's own browser holds the base64url text, without padding, of
//
//	 0        1        2                       26                              n-16      n
//	+--------+--------+-----------------------+-------------------------------+---------+
//	| version| key id | nonce, 24 random bytes| ciphertext of 1 to 8 marks:   | tag     |
//	| 1      | 1-255  |                       | sender, 16 │ until, s since   |         |
//	|        |        |                       |            │ 1970, 4 bytes    |         |
//	+--------+--------+-----------------------+-------------------------------+---------+
//
// where sender is the first 16 bytes of SHA-256(account, 0x00, sender). It is sealed as URL tokens are, with a key of its
// own: whoever finds the cookie learns neither account nor sender, and can add none.
const (
	markSenderLen = 16
	markLen       = markSenderLen + 4
	maxMarksRaw   = minToken + MaxMarks*markLen
	maxMarksText  = (maxMarksRaw*8 + 5) / 6
	// marksPurpose is authenticated with a cookie; its key seals nothing else.
	marksPurpose = 's'
)

// MaxMarks bounds the senders that one browser is the own one of.
const MaxMarks = 8

// Marks say whose own browser one is: what its cookie holds. It can be used again and again, and then opening and asking
// allocate nothing: keep it in a pool.
type Marks struct {
	marks   [MaxMarks]mark
	n       int
	raw     [maxMarksRaw + 2]byte // the decoder wants room for whole groups
	ad      [3]byte
	scratch [MaxIDs + 1]byte
}

type mark struct {
	sender [markSenderLen]byte
	until  uint32 // seconds since 1970
}

// Len returns how many senders there are.
func (m *Marks) Len() int { return m.n }

// Reset removes all.
func (m *Marks) Reset() { m.n = 0 }

// Has reports whether the browser is this sender's own.
func (m *Marks) Has(account, sender string) bool {
	return m.n > 0 && m.find(m.hash(account, sender)) >= 0
}

// Add marks the browser as this sender's own, for so long. Of more than MaxMarks senders, the one whose time ends first
// is forgotten.
func (m *Marks) Add(account, sender string, now event.Millis, lasts time.Duration) {
	m.Remove(account, sender)
	if m.n == MaxMarks {
		soonest := 0
		for i := range m.n {
			if m.marks[i].until < m.marks[soonest].until {
				soonest = i
			}
		}
		m.remove(soonest)
	}
	m.marks[m.n] = mark{m.hash(account, sender), uint32(now.Add(lasts) / 1000)}
	m.n++
}

// Remove takes the mark of a sender back.
func (m *Marks) Remove(account, sender string) {
	if i := m.find(m.hash(account, sender)); i >= 0 {
		m.remove(i)
	}
}

func (m *Marks) remove(i int) {
	copy(m.marks[i:], m.marks[i+1:m.n])
	m.n--
}

func (m *Marks) find(sender [markSenderLen]byte) int {
	return slices.IndexFunc(m.marks[:m.n], func(k mark) bool { return k.sender == sender })
}

func (m *Marks) hash(account, sender string) [markSenderLen]byte {
	b := append(m.scratch[:0], account...)
	b = append(append(b, 0), sender...)
	sum := sha256.Sum256(b)
	return [markSenderLen]byte(sum[:])
}

// SealMarks appends the text of the cookie to dst. There must be a mark.
func (k *Keyring) SealMarks(dst []byte, m *Marks) []byte {
	var nonce [chacha20poly1305.NonceSizeX]byte
	_, _ = rand.Read(nonce[:]) // never fails: it ends the program instead
	raw := append([]byte{tokenVersion, k.seal.id}, nonce[:]...)
	var plain []byte
	for _, v := range m.marks[:m.n] {
		plain = append(plain, v.sender[:]...)
		plain = binary.BigEndian.AppendUint32(plain, v.until)
	}
	raw = k.seal.self.Seal(raw, nonce[:], plain, []byte{tokenVersion, k.seal.id, marksPurpose})
	return urlText.AppendEncode(dst, raw)
}

// OpenMarks reads the text of a cookie into m, which is empty if it returns an error: those of Open but for ErrURL. Marks
// whose time has ended are left out.
func (k *Keyring) OpenMarks(text []byte, now event.Millis, m *Marks) error {
	m.Reset()
	if n := urlText.DecodedLen(len(text)); len(text) > maxMarksText || n < minToken+markLen || (n-minToken)%markLen != 0 {
		return ErrMalformed
	}
	n, err := urlText.Decode(m.raw[:], text)
	if err != nil || n != urlText.DecodedLen(len(text)) { // line breaks, which the decoder passes over, make it shorter
		return ErrMalformed
	}
	raw := m.raw[:n]
	key, err := k.forOpening(raw[0], raw[1])
	if err != nil {
		return err
	}
	m.ad = [3]byte{raw[0], raw[1], marksPurpose}
	plain, err := key.self.Open(raw[sealedAt:sealedAt], raw[nonceAt:sealedAt], raw[sealedAt:], m.ad[:])
	if err != nil {
		return ErrForged
	}
	for ; len(plain) > 0; plain = plain[markLen:] {
		v := mark{[markSenderLen]byte(plain), binary.BigEndian.Uint32(plain[markSenderLen:])}
		if event.Millis(v.until)*1000 > now {
			m.marks[m.n] = v
			m.n++
		}
	}
	return nil
}
