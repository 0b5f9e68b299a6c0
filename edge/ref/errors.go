package ref

import "errors"

// Why a token is refused. The first five need no key to provoke, so they tell a stranger nothing and cost little; the
// last two are the minter's mistake and come wrapped with what is wrong.
var (
	// ErrMalformed: no token: wrong alphabet or length, or not the canonical text of its bytes.
	ErrMalformed = errors.New("ref: malformed token")
	// ErrVersion: made by a version of Carom that this one doesn't know.
	ErrVersion = errors.New("ref: token of another version")
	// ErrUnknownKey: names a key that the keys file doesn't have: foreign, or the file is out of date here.
	ErrUnknownKey = errors.New("ref: token of an unknown key")
	// ErrRetired: names a key that is refused by now.
	ErrRetired = errors.New("ref: token of a retired key")
	// ErrForged: not made with the key it names for this purpose, or changed since.
	ErrForged = errors.New("ref: forged token")
	// ErrInvalid: authentic, or yet to be sealed, but no acceptable reference.
	ErrInvalid = errors.New("ref: invalid reference")
	// ErrURL: a link's target that Carom doesn't redirect to.
	ErrURL = errors.New("ref: URL not allowed")
)
