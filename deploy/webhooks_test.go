package deploy_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The signature is that of edge/webhook's TestSign: made at 1674087231, so the clock is turned back to it.
const (
	hookSecret    = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	hookSignature = "v1,AWZ/FwnrCN3FUYDfpTgMuVT2gLKhYx3wGjHBFAyUuT8="
	hookBody      = `[{"id":"x"}]`
)

// The page's code takes what Carom signs, beside other signatures, and refuses what was changed or is old.
func TestWebhookVerification(t *testing.T) {
	page, err := os.ReadFile("WEBHOOKS.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, rest, ok := strings.Cut(string(page), "```"+language+"\n")
		if !ok {
			t.Fatalf("no code in %s", language)
		}
		code, _, _ := strings.Cut(rest, "```")
		return code
	}
	for _, c := range []struct {
		language, program, file string
		args                    []string
		wrap                    func(code string) string
	}{
		{"python", "python3", "verify.py", nil, func(code string) string {
			return code + `
now = 1674087231
time.time = lambda: now
h = {"webhook-id": "wh_1", "webhook-timestamp": "1674087231", "webhook-signature": "v1,xxxx ` + hookSignature + `"}
b = b'` + hookBody + `'
print(verify("` + hookSecret + `", h, b), verify("` + hookSecret + `", h, b + b" "))
now += 301
print(verify("` + hookSecret + `", h, b))
`
		}},
		{"js", "node", "verify.js", nil, func(code string) string {
			return code + `
let now = 1674087231;
Date.now = () => now * 1000;
const say = (ok) => process.stdout.write(ok ? "True " : "False ");
const h = {"webhook-id": "wh_1", "webhook-timestamp": "1674087231", "webhook-signature": "v1,xxxx ` + hookSignature + `"};
const b = Buffer.from('` + hookBody + `');
say(verify("` + hookSecret + `", h, b)); say(verify("` + hookSecret + `", h, Buffer.concat([b, Buffer.from(" ")])));
now += 301; say(verify("` + hookSecret + `", h, b));
`
		}},
	} {
		program, err := exec.LookPath(c.program)
		if err != nil {
			t.Logf("no %s here", c.program)
			continue
		}
		file := filepath.Join(t.TempDir(), c.file)
		if err := os.WriteFile(file, []byte(c.wrap(block(c.language))), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, file).CombinedOutput()
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != "True False False" {
			t.Errorf("%s: %v: %s", c.language, err, out)
		}
	}
	source, err := os.ReadFile("webhooks_test.go")
	if err != nil || !strings.Contains(string(source), block("go")) {
		t.Errorf("the page's Go is not what is tested here: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(1674087231, 0))) // of the bubble's clock
		h := http.Header{}
		h.Set("webhook-id", "wh_1")
		h.Set("webhook-timestamp", "1674087231")
		h.Set("webhook-signature", "v1,xxxx "+hookSignature)
		if !verify(hookSecret, h, []byte(hookBody)) || verify(hookSecret, h, []byte(hookBody+" ")) {
			t.Error("Go: takes what was changed, or not what was signed")
		}
		time.Sleep(301 * time.Second)
		if verify(hookSecret, h, []byte(hookBody)) {
			t.Error("Go: takes what is old")
		}
	})
}

func verify(secret string, h http.Header, body []byte) bool {
	stamp, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(stamp, 0)).Abs() > 5*time.Minute {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, got := range strings.Split(h.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}
