using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>
/// This node's certificate and the authorities it believes. The authority's key follows from the cluster secret, so
/// every holder of the secret has it and issues its own certificate: proving the secret over TLS 1.3 needs no key
/// distribution and stays forward secret. One authority per secret of the ring, so that streams survive a rotation.
/// It reflects the ring as it was at construction: make a new one after the ring changed.
/// </summary>
internal sealed class ClusterCertificates : IDisposable
{
    // Wrong clocks must not take a cluster apart. Dates are not checked by our peers either; they are set so that
    // other tools that look at the certificate don't object.
    private static readonly TimeSpan Backdated = TimeSpan.FromDays(1);
    private static readonly TimeSpan Validity = TimeSpan.FromDays(3_650);

    // NIST P-256's group order (FIPS 186-4, D.1.2.3).
    private static readonly BigInteger Order = BigInteger.Parse(
        "0FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private readonly Dictionary<uint, (X509Certificate2 Node, X509Certificate2 Authority)> _nodes = [];

    public ClusterCertificates(KeyRing ring, UInt128 nodeUid, TimeProvider time)
    {
        NodeUid = nodeUid;
        DateTimeOffset now = time.GetUtcNow();
        KeyRing.Content content = ring.Current;
        RingVersion = content.Version;
        ActiveKey = content.Active.KeyId;
        foreach (ClusterSecret secret in content.Secrets)
        {
            uint keyId = secret.KeyId;
            using ECDsa authorityKey = DeriveAuthorityKey(secret);
            X509Certificate2 authority = MakeAuthority(authorityKey, keyId, now);
            Authorities.Add(authority);
            X509Certificate2 node = MakeNode(authority, authorityKey, nodeUid, now);
            _nodes.Add(keyId, (node, authority));
            if (keyId == ActiveKey)
            {
                Node = node;
            }
        }
    }

    public UInt128 NodeUid { get; }

    /// <summary>Version of the ring these reflect.</summary>
    public int RingVersion { get; }

    public uint ActiveKey { get; }

    /// <summary>Under the active secret, with its private key, which is made anew at each start and never stored.</summary>
    public X509Certificate2 Node { get; } = null!;

    /// <summary>This node's certificate under each secret, with the authority that issued it.</summary>
    public IReadOnlyDictionary<uint, (X509Certificate2 Node, X509Certificate2 Authority)> Nodes => _nodes;

    /// <summary>One per secret of the ring, without private keys.</summary>
    public X509Certificate2Collection Authorities { get; } = [];

    /// <summary>The node uid as it stands in a certificate's common name: 32 hexadecimal digits.</summary>
    public static string NameOf(UInt128 nodeUid) => nodeUid.ToString("x32", CultureInfo.InvariantCulture);

    public void Dispose()
    {
        foreach ((X509Certificate2 node, X509Certificate2 authority) in _nodes.Values)
        {
            node.Dispose();
            authority.Dispose();
        }
    }

    /// <summary>
    /// The scalar is 48 derived bytes modulo n - 1, plus one: the extra 128 bits make the bias negligible
    /// (FIPS 186-5, A.2.1). OpenSSL computes the public point.
    /// </summary>
    internal static ECDsa DeriveAuthorityKey(ClusterSecret secret)
    {
        Span<byte> wide = stackalloc byte[48];
        secret.Derive("kcore-tls-ca-v1"u8, wide);
        BigInteger scalar = (new BigInteger(wide, isUnsigned: true, isBigEndian: true) % (Order - 1)) + 1;
        CryptographicOperations.ZeroMemory(wide);
        byte[] d = new byte[32];
        byte[] significant = scalar.ToByteArray(isUnsigned: true, isBigEndian: true);
        significant.CopyTo(d, d.Length - significant.Length);
        try
        {
            return ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = d });
        }
        finally
        {
            CryptographicOperations.ZeroMemory(d);
            CryptographicOperations.ZeroMemory(significant);
        }
    }

    private static X509Certificate2 MakeAuthority(ECDsa key, uint keyId, DateTimeOffset now)
    {
        var request = new CertificateRequest($"CN=kcore cluster key {keyId:x8}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(
            certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        using X509Certificate2 withKey = request.CreateSelfSigned(now - Backdated, now + Validity);
        return X509CertificateLoader.LoadCertificate(withKey.RawDataMemory.Span);
    }

    private static X509Certificate2 MakeNode(
        X509Certificate2 authority, ECDsa authorityKey, UInt128 nodeUid, DateTimeOffset now)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={NameOf(nodeUid)}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(
            certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(
            authority, includeKeyIdentifier: true, includeIssuerAndSerial: false));

        byte[] serial = RandomNumberGenerator.GetBytes(16);
        serial[0] &= 0x7F;
        using X509Certificate2 issued = request.Create(
            authority.SubjectName,
            X509SignatureGenerator.CreateForECDsa(authorityKey),
            now - Backdated,
            now + Validity,
            serial);
        return issued.CopyWithPrivateKey(key);
    }
}
