package report

// Everything in a mail is hostile. These bounds keep the memory of one Read under a few megabytes and its
// time linear in the mail's size, whatever the mail is.
const (
	// maxHeader ends a header block that has no blank line, and a field in it.
	maxHeader = 256 << 10
	// maxDepth is how deep parts may nest; what lies deeper is left alone.
	maxDepth = 8
	// maxParts is how many parts of one mail are looked at.
	maxParts = 100
	// maxText is how much of a text part is read, before and after its transfer encoding is undone.
	maxText = 64 << 10
	// maxStatusPart is how much of a delivery-status or feedback part is read: 1,000 recipients of 1 KiB each.
	maxStatusPart = 1 << 20
	// maxFacts is how many facts one mail may tell; RFC 5321 §4.5.3.1.8 asks for 100 recipients at least.
	maxFacts = 1000
	// maxDiagnostic is the longest diagnostic text that is kept, in bytes of UTF-8.
	maxDiagnostic = 1024
	// maxMatch is the longest text that the rules see.
	maxMatch = 4096
	// maxAddress is the longest address: 64 + 1 + 255 octets, RFC 5321 §4.5.3.1. A longer one is no address.
	maxAddress = 320
	// maxHost is the longest host name with its comment.
	maxHost = 255
	// maxMessageID is the longest id: a header line, RFC 5322 §2.1.1. A longer one is no id, because a cut
	// one would be another's.
	maxMessageID = 998
	// maxReferences is how many ids of In-Reply-To and References are kept, the nearest ones.
	maxReferences = 50
	// maxRef is the longest sealed reference that is kept.
	maxRef = 8 << 10
	// maxSubject is the longest subject that is kept, in bytes of UTF-8.
	maxSubject = 256
	// maxReply is how much of a bare SMTP reply is read.
	maxReply = 16 << 10
	// maxDigest is how much of a header and of a body the digest covers.
	maxDigest = 64 << 10
)
