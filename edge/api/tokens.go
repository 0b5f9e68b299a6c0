package api

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Scope is what a token may do. A token has any of them; none implies another, but ScopeAdmin, which implies all: who
// registers messages need not be able to read what became of them.
type Scope uint8

// Scopes. scopeNone is that of what needs no token.
const (
	scopeNone Scope = iota
	ScopeRead
	ScopeWrite
	ScopeAdmin
)

var scopeNames = [...]string{ScopeRead: "read", ScopeWrite: "write", ScopeAdmin: "admin"}

// String returns the name that tokens files use.
func (sc Scope) String() string { return scopeNames[sc] }

// AllAccounts stands for every account in a token's list.
const AllAccounts = "*"

// Token is one entry of a tokens file. The file holds a hash of the token, never the token: who reads it, or a backup of
// it, can't ask anything.
type Token struct {
	Name     string   `yaml:"name"`
	Hash     string   `yaml:"hash"` // SHA-256 of the token, in hexadecimal
	Scopes   []string `yaml:"scopes,flow"`
	Accounts []string `yaml:"accounts,flow"`
}

// Tokens is the content of a tokens file.
type Tokens struct {
	Version int     `yaml:"version"`
	Tokens  []Token `yaml:"tokens"`
}

const (
	tokensVersion = 1
	othersWrite   = 0o002
	// maxTokensFile bounds a tokens file in bytes, maxTokens its tokens, maxTokenAccounts those of one.
	maxTokensFile    = 4 << 20
	maxTokens        = 10_000
	maxTokenAccounts = 1000
	// maxTokenName bounds names, which stand in audit logs.
	maxTokenName = 64
	// tokenBytes is how much of a new token is random.
	tokenBytes = 32
	// tokenPrefix tells people, and scanners of source code, what it is that they have found.
	tokenPrefix = "carom_"
)

// NewToken makes a token, and the entry by which a server knows it. The entry does not give the token away: its 256
// random bits can't be guessed from the hash, so a fast hash is enough.
func NewToken(name string, scopes, accounts []string) (secret string, t Token, err error) {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // which never fails
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	hash := sha256.Sum256([]byte(secret))
	t = Token{Name: name, Hash: hex.EncodeToString(hash[:]), Scopes: scopes, Accounts: accounts}
	return secret, t, t.check()
}

// ReadTokens reads a tokens file.
func ReadTokens(file string) (Tokens, error) {
	f, err := os.Open(file)
	if err != nil {
		return Tokens{}, fmt.Errorf("%w: make the file with 'carom tokens new'", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&othersWrite != 0 {
		return Tokens{}, fmt.Errorf("%s: everybody may write it (mode %04o), and so give himself a token: chmod 600 it", file, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxTokensFile+1))
	if err != nil {
		return Tokens{}, err
	}
	t, err := ParseTokens(data)
	if err != nil {
		return Tokens{}, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

// ParseTokens reads the content of a tokens file:
//
//	version: 1
//	tokens:
//	  - name: shop               who holds it; audit logs show it
//	    hash: <hexadecimal>      SHA-256 of the token
//	    scopes: [read, write]    any of read, write, admin (which is all)
//	    accounts: [acme]         or ["*"], all
func ParseTokens(data []byte) (Tokens, error) {
	var t Tokens
	if len(data) > maxTokensFile {
		return t, fmt.Errorf("longer than %d bytes", maxTokensFile)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&t); errors.Is(err, io.EOF) {
		return t, errors.New("empty: make it with 'carom tokens new'")
	} else if err != nil {
		return Tokens{}, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Tokens{}, errors.New("a second document begins after the first: want all tokens in one list")
	}
	return t, t.check()
}

func (t *Tokens) check() error {
	if t.Version != tokensVersion {
		return fmt.Errorf("version: %d: want %d", t.Version, tokensVersion)
	}
	if len(t.Tokens) > maxTokens {
		return fmt.Errorf("tokens: %d: want at most %d", len(t.Tokens), maxTokens)
	}
	names, hashes := make(map[string]bool), make(map[string]string)
	for i := range t.Tokens {
		e := &t.Tokens[i]
		if err := e.check(); err != nil {
			return fmt.Errorf("tokens[%d]: %w", i, err)
		}
		if names[e.Name] {
			return fmt.Errorf("tokens[%d]: name: %q is there twice: want each once", i, e.Name)
		}
		if other, ok := hashes[e.Hash]; ok {
			return fmt.Errorf("tokens[%d]: hash: token %q has that of %q: want another", i, e.Name, other)
		}
		names[e.Name], hashes[e.Hash] = true, e.Name
	}
	return nil
}

func (t *Token) check() error {
	switch {
	case t.Name == "" || len(t.Name) > maxTokenName || strings.Trim(t.Name, tokenLetters) != "":
		return fmt.Errorf("name: %s: want 1 to %d letters, digits, dots, dashes or underscores", quote(t.Name), maxTokenName)
	case t.Name == nameConfigured || t.Name == nameLocal:
		return fmt.Errorf("name: %q stands for who shows none of these tokens: want another", t.Name)
	case len(t.Scopes) == 0:
		return fmt.Errorf("scopes: none for token %q: want any of read, write, admin", t.Name)
	case len(t.Accounts) == 0:
		return fmt.Errorf(`accounts: none for token %q: want accounts, or "*" for all`, t.Name)
	case len(t.Accounts) > maxTokenAccounts:
		return fmt.Errorf("accounts: %d for token %q: want at most %d", len(t.Accounts), t.Name, maxTokenAccounts)
	}
	// A value that is wrong may be a secret in the wrong place.
	if hash, err := hex.DecodeString(t.Hash); err != nil || len(hash) != sha256.Size || t.Hash != strings.ToLower(t.Hash) {
		return fmt.Errorf("hash: of token %q: want the SHA-256 of the token as 64 hexadecimal digits in lower case", t.Name)
	}
	for _, s := range t.Scopes {
		if _, ok := parseScope(s); !ok {
			return fmt.Errorf("scopes: %s for token %q: want any of read, write, admin", quote(s), t.Name)
		}
	}
	for _, a := range t.Accounts {
		if wrong := checkText(a, maxID); a == "" || wrong != "" {
			return fmt.Errorf(`accounts: %s for token %q: want an account of 1 to %d bytes, or "*" for all`, quote(a), t.Name, maxID)
		}
	}
	return nil
}

const tokenLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

func parseScope(name string) (Scope, bool) {
	i := slices.Index(scopeNames[:], name)
	return Scope(max(i, 0)), i > int(scopeNone)
}
