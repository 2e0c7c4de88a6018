using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>
/// How every TCP stream between nodes is secured: TLS 1.3 only, both sides show a certificate issued under a secret
/// this node holds. Host names, dates, revocation and the system's trust store play no part; the node uid in the
/// certificate does.
/// </summary>
internal sealed class TlsOptions(ClusterCertificates certificates)
{
    // Offline: building the context must not fetch anything from anywhere.
    private readonly SslStreamCertificateContext _own =
        SslStreamCertificateContext.Create(certificates.Node, additionalCertificates: null, offline: true);

    /// <summary>For the accepting side.</summary>
    public SslServerAuthenticationOptions ForServer() => new()
    {
        EnabledSslProtocols = SslProtocols.Tls13,
        ServerCertificateContext = _own,
        ClientCertificateRequired = true,
        CertificateChainPolicy = MakePolicy(),
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsMember(certificate, chain, errors, null),

        // A resumed session would not show the certificate again.
        AllowTlsResume = false,
    };

    /// <summary>For the dialling side; with <paramref name="expectedPeer"/> any other node is refused.</summary>
    public SslClientAuthenticationOptions ForClient(UInt128? expectedPeer = null) => new()
    {
        EnabledSslProtocols = SslProtocols.Tls13,
        TargetHost = "kcore",
        ClientCertificateContext = _own,
        CertificateChainPolicy = MakePolicy(),
        RemoteCertificateValidationCallback =
            (_, certificate, chain, errors) => IsMember(certificate, chain, errors, expectedPeer),
        AllowTlsResume = false,
    };

    /// <summary>Who is at the other end of a stream whose handshake is done.</summary>
    /// <exception cref="AuthenticationException">The handshake is not done.</exception>
    public static UInt128 PeerOf(SslStream stream) =>
        TryReadUid(stream.RemoteCertificate, out UInt128 uid)
            ? uid
            : throw new AuthenticationException("The stream has no authenticated peer.");

    private static bool IsMember(
        X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors, UInt128? expectedPeer) =>

        // The chain was built under our policy, so no chain error means: issued by one of our authorities. Depth two
        // is leaf and authority; an authority's own certificate is no node's.
        (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None
        && chain is { ChainElements.Count: 2 }
        && TryReadUid(certificate, out UInt128 uid)
        && (expectedPeer is null || expectedPeer == uid);

    private static bool TryReadUid(X509Certificate? certificate, out UInt128 uid)
    {
        const string Prefix = "CN=";
        uid = default;
        return certificate is not null
            && certificate.Subject.Length == Prefix.Length + 32
            && certificate.Subject.StartsWith(Prefix, StringComparison.Ordinal)
            && UInt128.TryParse(
                certificate.Subject.AsSpan(Prefix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uid);
    }

    private X509ChainPolicy MakePolicy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid,
        };
        policy.CustomTrustStore.AddRange(certificates.Authorities);
        return policy;
    }
}
