package track

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/valyala/fasthttp"
)

// style is the look of all pages. It is inline, so that a page loads nothing else.
const style = "body{font:1.125rem/1.6 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.25rem;" +
	"color:#1a1a1a;background:#fff}h1{font-size:1.6rem;line-height:1.25}" +
	"button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border:2px solid #1a4fa3;border-radius:.4rem;" +
	"color:#fff;background:#1a4fa3;cursor:pointer}button:focus-visible{outline:3px solid #e08a00;outline-offset:3px}" +
	"@media(prefers-color-scheme:dark){body{color:#ececec;background:#161616}" +
	"button{color:#10131a;background:#9cc1ff;border-color:#9cc1ff}}"

// The pages. None of them takes in anything of the request, so there is nothing to escape.
var (
	pageAsk = newPage("Unsubscribe?", "<p>You will get no more of these e-mails at this address.</p>"+
		"<form method=\"post\"><button type=\"submit\">Unsubscribe</button></form>"+
		"<p>If you came here by mistake, just close this page: nothing has changed.</p>")
	pageDone = newPage("You are unsubscribed", "<p>You will get no more of these e-mails at this address. "+
		"One that is already on its way may still arrive.</p>")
	pageTryAgain = newPage("That did not work", "<p>We could not store your request just now, so you are "+
		"<strong>not unsubscribed yet</strong>. Please try again in a minute.</p>"+
		"<form method=\"post\"><button type=\"submit\">Try again</button></form>")
	pageSelf = newPage("This browser is marked as yours", "<p>What it opens and clicks in the e-mails of this sender "+
		"is no longer counted as a reader's, for 400 days or until its cookies are removed. Each browser and each device has to be marked.</p>"+
		"<p>It can't work where a mail service loads pictures by itself (Gmail, Yahoo, Apple's privacy protection), "+
		"or where the browser keeps cookies from pictures in web mail.</p>"+
		"<form method=\"post\"><button type=\"submit\">Remove the mark</button></form>")
	pageNotSelf = newPage("The mark is removed", "<p>What this browser opens and clicks in the e-mails of this sender "+
		"counts as a reader's again.</p><form method=\"get\"><button type=\"submit\">Mark this browser</button></form>")
	pageBadLink = newPage("This link does not work", "<p>It is incomplete, or no longer valid. "+
		"Please try the link in the e-mail once more, and copy all of it if you copy it.</p>")
)

func newPage(title, body string) []byte {
	return []byte("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">" +
		"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">" +
		"<meta name=\"color-scheme\" content=\"light dark\">" +
		"<title>" + title + "</title><style>" + style + "</style></head>" +
		"<body><main><h1>" + title + "</h1>" + body + "</main></body></html>\n")
}

// contentPolicy lets a page do nothing but have its style and send its form back here.
var contentPolicy = "default-src 'none'; style-src 'sha256-" + styleHash() +
	"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func styleHash() string {
	h := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(h[:])
}

// page answers with a page.
func (s *Server) page(ctx *fasthttp.RequestCtx, status int, page []byte) {
	setNoStore(ctx)
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer") // the URL of an unsubscribe page is a secret of its reader
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	ctx.SetStatusCode(status)
	ctx.SetContentType(typeHTML)
	ctx.Response.SetBodyRaw(page)
}
