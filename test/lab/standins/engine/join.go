package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

// CAHash is the SHA-256 of a certificate file, in hexadecimal.
func CAHash(pem []byte) string {
	sum := sha256.Sum256(pem)
	return hex.EncodeToString(sum[:])
}

// RandomHex is a secret of this many bytes.
func RandomHex(bytes int) string {
	text := make([]byte, bytes)
	file, err := os.Open("/dev/urandom")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if _, err := io.ReadFull(file, text); err != nil {
		panic(err)
	}
	return hex.EncodeToString(text)
}

// SameSecret compares without telling where the difference is.
func SameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Serve answers HTTPS at an address until the family ends.
func Serve(family *Family, name, address string, config *tls.Config, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
	family.Go(name, func(ctx context.Context) error {
		go func() {
			<-ctx.Done()
			_ = server.Close()
		}()
		if err := server.ServeTLS(listener, "", ""); err != http.ErrServerClosed {
			return err
		}
		return nil
	})
	return nil
}

// APIProxy leads requests to the API server of this host. A client that shows a certificate of the authority of clients is named to it
// in headers (the API server trusts the certificate of the proxy for that); any other brings its token.
func APIProxy(target, serverCA, proxyCert, proxyKey string, clients *x509.CertPool) (http.Handler, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	client, err := newClient(serverCA, proxyCert, proxyKey)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Director: func(request *http.Request) {
			request.URL.Scheme, request.URL.Host, request.Host = parsed.Scheme, parsed.Host, parsed.Host
			for _, header := range []string{"X-Remote-User", "X-Remote-Group"} {
				request.Header.Del(header)
			}
			if user := clientOf(request, clients); user != nil {
				request.Header.Set("X-Remote-User", user.Subject.CommonName)
				for _, group := range user.Subject.Organization {
					request.Header.Add("X-Remote-Group", group)
				}
			}
		},
		Transport:     client.Transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	return proxy, nil
}

func clientOf(request *http.Request, clients *x509.CertPool) *x509.Certificate {
	if request.TLS == nil || len(request.TLS.PeerCertificates) == 0 {
		return nil
	}
	cert := request.TLS.PeerCertificates[0]
	options := x509.VerifyOptions{Roots: clients, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(options); err != nil {
		return nil
	}
	return cert
}

// BasicAuth lets in who knows the password of one of these users.
func BasicAuth(passwords map[string]string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		user, password, ok := request.BasicAuth()
		if wanted, known := passwords[user]; !ok || !known || !SameSecret(password, wanted) {
			http.Error(answer, "Unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(answer, request)
	})
}

// Files sends files by their names, as JSON: what a joining server needs.
func Files(names map[string]string) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		content := map[string][]byte{}
		for name, file := range names {
			text, err := os.ReadFile(file)
			if err != nil {
				http.Error(answer, err.Error(), http.StatusInternalServerError)
				return
			}
			content[name] = text
		}
		_ = json.NewEncoder(answer).Encode(content)
	})
}

// JoinClient asks the supervisor of a cluster that it knows by the hash of its CA.
type JoinClient struct {
	URL, User, Password, Bearer string
	CA                          []byte
	client                      *http.Client
}

// NewJoinClient fetches the CA from caPath and trusts it when it has the hash (an empty one trusts whoever answers, as the real program
// does with a short token).
func NewJoinClient(server, caPath, caHash string) (*JoinClient, error) {
	parsed, err := url.Parse(server)
	if err != nil || parsed.Scheme != "https" {
		return nil, fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", server)
	}
	blind := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := blind.Get(server + caPath)
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	defer answer.Body.Close()
	ca, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("failed to get CA certs: %s", answer.Status)
	}
	if block, _ := pem.Decode(ca); block == nil {
		return nil, fmt.Errorf("failed to get CA certs: no certificate")
	}
	if got := CAHash(ca); caHash != "" && got != caHash {
		return nil, fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", caHash, got)
	}
	return &JoinClient{URL: server, CA: ca}, nil
}

// Get asks, and reads JSON into `into` when that is not nil.
func (j *JoinClient) Get(path string, into any) ([]byte, error) { return j.do("GET", path, nil, into) }

// Post sends JSON.
func (j *JoinClient) Post(path string, body, into any) ([]byte, error) {
	return j.do("POST", path, body, into)
}

func (j *JoinClient) do(method, path string, body, into any) ([]byte, error) {
	if j.client == nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(j.CA)
		j.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(method, j.URL+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if j.Bearer != "" {
		request.Header.Set("Authorization", "Bearer "+j.Bearer)
	} else if j.User != "" {
		request.SetBasicAuth(j.User, j.Password)
	}
	answer, err := j.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s: %s: %s", j.URL, path, answer.Status, bytes.TrimSpace(got))
	}
	if into != nil {
		return got, json.Unmarshal(got, into)
	}
	return got, nil
}

// Balancer leads connections to the first of several servers that answers.
type Balancer struct {
	mutex   sync.Mutex
	servers []string
}

// StartBalancer listens at an address of this host.
func StartBalancer(family *Family, address string, servers []string) (*Balancer, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	balancer := &Balancer{servers: servers}
	family.Go("the balancer", func(ctx context.Context) error {
		go func() {
			<-ctx.Done()
			_ = listener.Close()
		}()
		for {
			connection, err := listener.Accept()
			if err != nil {
				return err
			}
			go balancer.lead(connection)
		}
	})
	return balancer, nil
}

// Set replaces the servers (HOST:PORT).
func (b *Balancer) Set(servers []string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.servers = servers
}

// Servers are those of now.
func (b *Balancer) Servers() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return append([]string{}, b.servers...)
}

func (b *Balancer) lead(from net.Conn) {
	defer from.Close()
	for _, server := range b.Servers() {
		to, err := net.DialTimeout("tcp", server, 3*time.Second)
		if err != nil {
			continue
		}
		defer to.Close()
		done := make(chan struct{}, 2)
		pipe := func(target, source net.Conn) {
			_, _ = io.Copy(target, source)
			done <- struct{}{}
		}
		go pipe(to, from)
		go pipe(from, to)
		<-done
		return
	}
}
