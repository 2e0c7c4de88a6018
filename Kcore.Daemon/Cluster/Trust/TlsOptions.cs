using System.Collections.Frozen;
using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>
/// How every TCP stream between nodes is secured: TLS 1.3 only, both sides show a certificate issued under a secret
/// this node holds. Host names, dates, revocation and the system's trust store play no part; the node uid in the
/// certificate does. During a rotation the dialling side names the key it means in the server name (RFC 6066 §3), where
/// nobody looks for a host: a handshake is about one key.
/// </summary>
internal sealed class TlsOptions(ClusterCertificates certificates)
{
    private const string KeySuffix = ".key.kcore";

    // Offline: building the contexts must not fetch anything from anywhere.
    private readonly FrozenDictionary<uint, SslStreamCertificateContext> _own = certificates.Nodes.ToFrozenDictionary(
        n => n.Key, n => SslStreamCertificateContext.Create(n.Value.Node, additionalCertificates: null, offline: true));

    /// <summary>For the accepting side; with the certificate under the key the caller named, if this node has it.</summary>
    public SslServerAuthenticationOptions ForServer(string? serverName = null) => new()
    {
        EnabledSslProtocols = SslProtocols.Tls13,
        ServerCertificateContext = TryReadKey(serverName, out uint key) && _own.TryGetValue(key, out SslStreamCertificateContext? own) ? own : _own[certificates.ActiveKey],
        ClientCertificateRequired = true,
        CertificateChainPolicy = MakePolicy(certificates.Authorities),
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsMember(certificate, chain, errors, null),

        // A resumed session would not show the certificate again.
        AllowTlsResume = false,
    };

    /// <summary>
    /// For the dialling side, which shows and expects a certificate under one key: the active one unless another is given.
    /// With <paramref name="expectedPeer"/> any other node is refused.
    /// </summary>
    public SslClientAuthenticationOptions ForClient(UInt128? expectedPeer = null, uint? keyId = null)
    {
        uint key = keyId is { } wanted && _own.ContainsKey(wanted) ? wanted : certificates.ActiveKey;
        return new SslClientAuthenticationOptions
        {
            EnabledSslProtocols = SslProtocols.Tls13,
            TargetHost = key.ToString("x8", CultureInfo.InvariantCulture) + KeySuffix,
            ClientCertificateContext = _own[key],
            CertificateChainPolicy = MakePolicy([certificates.Nodes[key].Authority]),
            RemoteCertificateValidationCallback =
                (_, certificate, chain, errors) => IsMember(certificate, chain, errors, expectedPeer),
            AllowTlsResume = false,
        };
    }

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

    private static bool TryReadKey(string? serverName, out uint key)
    {
        key = 0;
        return serverName is not null && serverName.Length == 8 + KeySuffix.Length && serverName.EndsWith(KeySuffix, StringComparison.Ordinal)
            && uint.TryParse(serverName.AsSpan(0, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out key);
    }

    private static X509ChainPolicy MakePolicy(X509Certificate2Collection authorities)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid,
        };
        policy.CustomTrustStore.AddRange(authorities);
        return policy;
    }
}
