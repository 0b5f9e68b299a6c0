package event

import "testing"

// Each sender has a key of its own, and those without a slash in the account's name have the plain one.
func TestAppendSenderKey(t *testing.T) {
	seen := make(map[string][2]string)
	for _, test := range []struct{ account, sender, want string }{
		{"acme", "alice", "acme/alice"},
		{"", "", "/"},
		{"a", "b/c", "a/b/c"},
		{"a/b", "c", "a%2Fb/c"},
		{"a%2Fb", "c", "a%252Fb/c"},
		{"a", "%2Fb", "a/%2Fb"},
		{"zürich", "büro", "zürich/büro"},
	} {
		got := string(AppendSenderKey([]byte("x"), test.account, test.sender))[1:]
		if got != test.want {
			t.Errorf("%q of %q: %q, want %q", test.sender, test.account, got, test.want)
		}
		of := [2]string{test.account, test.sender}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q share a key", of, other)
		}
		seen[got] = of
	}
}
