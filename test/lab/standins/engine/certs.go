package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
	// A certificate that ends within this time is made anew at the next start.
	renewBefore = 90 * 24 * time.Hour
)

// Authority is a certificate authority whose certificate and key are files.
type Authority struct {
	CertFile string
	KeyFile  string
	cert     *x509.Certificate
	key      *ecdsa.PrivateKey
}

// Leaf says what a certificate is for.
type Leaf struct {
	CN     string
	Orgs   []string
	DNS    []string
	IPs    []string
	Server bool
	Client bool
}

// EnsureAuthority reads an authority, or makes it when its files are not there. One file without the other is refused.
func EnsureAuthority(certFile, keyFile, cn string) (*Authority, error) {
	haveCert, haveKey := Exists(certFile), Exists(keyFile)
	if haveCert != haveKey {
		return nil, fmt.Errorf("of %s and %s only one is there", certFile, keyFile)
	}
	if !haveCert {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		template := &x509.Certificate{
			SerialNumber:          serial(),
			Subject:               pkix.Name{CommonName: cn},
			NotBefore:             time.Now().Add(-time.Minute),
			NotAfter:              time.Now().Add(authorityLife),
			KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
			BasicConstraintsValid: true,
			IsCA:                  true,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			return nil, err
		}
		if err := writeKey(keyFile, key); err != nil {
			return nil, err
		}
		if err := WriteFile(certFile, certPEM(der), 0o644); err != nil {
			return nil, err
		}
	}
	return ReadAuthority(certFile, keyFile)
}

// ReadAuthority reads an authority that must be there.
func ReadAuthority(certFile, keyFile string) (*Authority, error) {
	cert, err := readCert(certFile)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s has no key in it", keyFile)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	if !cert.PublicKey.(*ecdsa.PublicKey).Equal(key.Public()) {
		return nil, fmt.Errorf("%s is not the key of %s", keyFile, certFile)
	}
	return &Authority{CertFile: certFile, KeyFile: keyFile, cert: cert, key: key}, nil
}

// Ensure issues a certificate into files, unless one of this authority with these names is there that goes on for long enough.
func (a *Authority) Ensure(certFile, keyFile string, leaf Leaf) error {
	if a.fits(certFile, keyFile, leaf) {
		return nil
	}
	return a.Renew(certFile, keyFile, leaf)
}

// Renew issues a certificate into files, whatever is there.
func (a *Authority) Renew(certFile, keyFile string, leaf Leaf) error {
	cert, key, err := a.Issue(leaf)
	if err != nil {
		return err
	}
	if err := WriteFile(keyFile, key, 0o600); err != nil {
		return err
	}
	return WriteFile(certFile, cert, 0o644)
}

// Issue makes a certificate, followed by that of the authority, and its key, as PEM.
func (a *Authority) Issue(leaf Leaf) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: leaf.CN, Organization: leaf.Orgs},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		DNSNames:     leaf.DNS,
	}
	for _, text := range leaf.IPs {
		ip := net.ParseIP(text)
		if ip == nil {
			return nil, nil, fmt.Errorf("%q is not an address", text)
		}
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	if leaf.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if leaf.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	keyText := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	return append(certPEM(der), certPEM(a.cert.Raw)...), keyText, nil
}

// Pool is what trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *Authority) fits(certFile, keyFile string, leaf Leaf) bool {
	cert, err := readCert(certFile)
	if err != nil || !Exists(keyFile) || cert.CheckSignatureFrom(a.cert) != nil {
		return false
	}
	if time.Until(cert.NotAfter) < renewBefore || cert.Subject.CommonName != leaf.CN {
		return false
	}
	for _, name := range append(append([]string{}, leaf.DNS...), leaf.IPs...) {
		if cert.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// EnsureServiceKey makes the RSA key that signs the tokens of service accounts.
func EnsureServiceKey(file string) error {
	if Exists(file) {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return WriteFile(file, text, 0o600)
}

// Exists says whether there is anything of this name.
func Exists(file string) bool {
	_, err := os.Lstat(file)
	return !errors.Is(err, os.ErrNotExist)
}

// WriteFile writes a whole file or nothing, and makes its directory.
func WriteFile(file string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", content, mode); err != nil {
		return err
	}
	if err := os.Chmod(file+".part", mode); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

func readCert(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s has no certificate in it", file)
	}
	return x509.ParseCertificate(block.Bytes)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func serial() *big.Int {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	return number
}
