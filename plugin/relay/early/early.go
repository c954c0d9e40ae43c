// SPDX-License-Identifier: Apache-2.0

// Package early is the program's end of package relay: before anything else in
// the program is initialised, it asks the agent, and with the agent's answer
// the process ends. Only cmd/plomb-verifier links it.
//
// Most of the time of a verifier that only passes on a question went into
// initialising the packages it would need to answer it. Go initialises a
// package as soon as those that it imports are: this one imports nothing but
// syscall, and is the first. For that it does without errors, time, os and net;
// docs/decisions/0015-one-verifier-program.md has the figures.
//
// It admits nothing by itself. Whatever goes wrong before the whole answer is
// there, main goes on as if there were no agent, with the standard input that
// was read, and in the time that is left.
package early

// What is left for main.
var (
	stdin []byte
	spent int64
	fault string
)

// Stdin is what was read of standard input.
func Stdin() []byte { return stdin }

// Spent is how long it took not to get an answer, in nanoseconds.
func Spent() int64 { return spent }

// Fault is why the agent gave no answer, or empty if it was not asked.
func Fault() string { return fault }

// The bounds and constants of package relay, which imports too much; a test
// holds them together.
const (
	magic     = "PLOMB1\n"
	ack       = 0x01
	maxArgs   = 64
	maxArg    = 64 << 10
	maxStdin  = 1 << 20
	maxStdout = 4 << 10
	maxStatus = 125
)

// Defaults of package settings, held together by the same test.
const (
	defaultSocket  = "/run/plomb/agent.sock"
	defaultTimeout = 8 * second
)

const (
	millisecond = 1_000_000
	second      = 1000 * millisecond

	// ackTime is how long an agent may take to say that it is there, if that is
	// not more than a quarter of the time for the call. It says so at once; but
	// with 300 programs starting on two processors it was half a second before
	// its turn came, and programs that then go on by themselves make it worse.
	ackTime = 2 * second
	// atOnce is the size of a request, in bytes, that is sent unasked.
	atOnce = 16 << 10
	// slack is how much longer than a verification may take the agent's answer
	// is waited for: it has to be settled there, and to get here.
	slack = 1200 * millisecond
)

// isCall tells whether these are arguments that containerd starts a verifier
// with. Others, such as -h, are main's.
func isCall(args []string) bool {
	for _, arg := range args {
		if arg == "-stdin-media-type" {
			return true
		}
	}
	return false
}

// request is what relay.ReadRequest reads, or the reason why it would not.
func request(args []string, stdin []byte) (req []byte, why string) {
	if len(args) > maxArgs {
		return nil, "too many arguments for the agent"
	}
	req = appendLength([]byte(magic), len(args))
	for _, arg := range args {
		if len(arg) > maxArg {
			return nil, "an argument is too long for the agent"
		}
		req = append(appendLength(req, len(arg)), arg...)
	}
	return append(appendLength(req, len(stdin)), stdin...), ""
}

func appendLength(b []byte, n int) []byte {
	return append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// header is the status of an answer and the length of its text.
func header(b [5]byte) (status, length int, why string) {
	status = int(b[0])
	length = int(b[1])<<24 | int(b[2])<<16 | int(b[3])<<8 | int(b[4])
	if status > maxStatus || length == 0 || length > maxStdout {
		return 0, 0, "the agent's answer is none"
	}
	return status, length, ""
}

// isLine tells whether text is one line, with its end and without anything that
// a terminal would act on.
func isLine(text []byte) bool {
	for i, c := range text {
		if c < 0x20 && (c != '\n' || i != len(text)-1) || c == 0x7f {
			return false
		}
	}
	return len(text) > 1 && text[len(text)-1] == '\n'
}

// units are those of time.ParseDuration that a timeout can be meant in.
var units = [...]struct {
	name string
	ns   int64
}{{"ns", 1}, {"us", 1000}, {"ms", millisecond}, {"s", second}, {"m", 60 * second}, {"h", 3600 * second}}

// duration reads numbers with units, as 1m30s or 1.5s. What it cannot read,
// main has to: it says what is wrong with it.
func duration(s string) (total int64, ok bool) {
	for s != "" {
		var whole, fraction, scale int64 = 0, 0, 1
		digits, point := 0, false
		for s != "" && (s[0] >= '0' && s[0] <= '9' || s[0] == '.' && !point) {
			switch c := s[0]; {
			case c == '.':
				point = true
			case digits >= 9: // enough, and far from an overflow
				return 0, false
			case point:
				fraction, scale, digits = fraction*10+int64(c-'0'), scale*10, digits+1
			default:
				whole, digits = whole*10+int64(c-'0'), digits+1
			}
			s = s[1:]
		}
		n := 0
		for n < len(s) && s[n] >= 'a' && s[n] <= 'z' {
			n++
		}
		ns := unit(s[:n])
		if digits == 0 || ns == 0 || whole > 1<<52/ns {
			return 0, false
		}
		total += whole*ns + int64(float64(fraction)/float64(scale)*float64(ns))
		s = s[n:]
		if total > 1<<52 {
			return 0, false
		}
	}
	return total, total > 0
}

func unit(name string) int64 {
	for _, u := range units {
		if u.name == name {
			return u.ns
		}
	}
	return 0
}
