using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// X25519 (RFC 7748) as far as a node needs it: the public key of a private one. Handshakes are WireGuard's own business. .NET
/// does not offer the curve; libcrypto, on which .NET's own cryptography rests here, does (EVP_PKEY_new_raw_private_key(3)).
/// </summary>
internal static class Curve25519
{
    public const int ByteCount = 32;

    private const string Library = "libcrypto.so.3";

    /// <summary>NID_X25519 of OpenSSL's obj_mac.h.</summary>
    private const int X25519 = 1034;

    /// <summary>Makes any 32 bytes a private key (RFC 7748 §5, "decodeScalar25519").</summary>
    public static void Clamp(Span<byte> secret)
    {
        secret[0] &= 248;
        secret[31] &= 127;
        secret[31] |= 64;
    }

    /// <param name="secret">32 bytes, clamped or not: the curve clamps them itself.</param>
    /// <exception cref="CryptographicException">The library refuses: the curve is switched off on this host.</exception>
    public static byte[] PublicKey(ReadOnlySpan<byte> secret)
    {
        byte[] copy = secret.ToArray();
        nint key = NewRawPrivateKey(X25519, 0, copy, (nuint)copy.Length);
        CryptographicOperations.ZeroMemory(copy);
        if (key == 0)
        {
            throw new CryptographicException("libcrypto makes no X25519 key");
        }

        try
        {
            byte[] open = new byte[ByteCount];
            nuint length = ByteCount;
            return GetRawPublicKey(key, open, ref length) == 1 && length == ByteCount
                ? open
                : throw new CryptographicException("libcrypto gives no X25519 public key");
        }
        finally
        {
            Free(key);
        }
    }

    // LibraryImport would generate unsafe code, which only Kcore.Netlink may hold; these marshal trivially.
#pragma warning disable SYSLIB1054
    [DllImport(Library, EntryPoint = "EVP_PKEY_new_raw_private_key")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint NewRawPrivateKey(int type, nint engine, byte[] key, nuint length);

    [DllImport(Library, EntryPoint = "EVP_PKEY_get_raw_public_key")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetRawPublicKey(nint key, byte[] open, ref nuint length);

    [DllImport(Library, EntryPoint = "EVP_PKEY_free")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern void Free(nint key);
#pragma warning restore SYSLIB1054
}
