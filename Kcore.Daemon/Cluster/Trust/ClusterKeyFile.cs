using System.Security.Cryptography;
using System.Text;
using Kcore.Daemon.Storage;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>The key file can't be used as it is; the message is written for the operator.</summary>
internal sealed class ClusterKeyFileException(string message) : Exception(message);

/// <summary>
/// The cluster secret on disk (<c>/etc/kcore/cluster.key</c>): one line with 64 hexadecimal digits, or the same 32 bytes
/// in base64, so that <c>openssl rand -hex 32</c> and <c>openssl rand -base64 32</c> both make one. Mode 0600; a file
/// that group or others may touch is refused, because the secret has then to be taken as known.
/// </summary>
internal static class ClusterKeyFile
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const UnixFileMode Foreign =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute |
        UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    // A line in either spelling, with room for a stray blank or line end.
    private const int MaxFileBytes = 128;

    /// <summary>Reads the secret; null when there is no such file.</summary>
    /// <exception cref="ClusterKeyFileException">It is open to others, or does not hold 32 bytes.</exception>
    public static ClusterSecret? Read(string path)
    {
        try
        {
            using var handle = File.OpenHandle(path);

            // Asked of the open file, not of the path, which could meanwhile name another one.
            UnixFileMode mode = File.GetUnixFileMode(handle);
            if ((mode & Foreign) != UnixFileMode.None)
            {
                throw new ClusterKeyFileException(
                    $"{path} may be read or changed by others (mode {Convert.ToString((int)mode, 8)}); " +
                    $"make it private with: chmod 600 {path}. If others use this machine, replace the key.");
            }

            Span<byte> buffer = stackalloc byte[MaxFileBytes + 1];
            int length = ReadAll(handle, buffer);
            try
            {
                return Parse(path, buffer[..length]);
            }
            finally
            {
                CryptographicOperations.ZeroMemory(buffer);
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Makes a new secret and stores it; the file must not exist.</summary>
    /// <exception cref="IOException">It exists, or can't be written.</exception>
    public static ClusterSecret Create(string path)
    {
        Span<byte> bytes = stackalloc byte[ClusterSecret.Size];
        RandomNumberGenerator.Fill(bytes);
        var secret = new ClusterSecret(bytes);
        CryptographicOperations.ZeroMemory(bytes);
        Store(path, secret, overwrite: false);
        return secret;
    }

    /// <summary>Stores a secret that came from a join token or a rotation, replacing the file as a whole.</summary>
    public static void Write(string path, ClusterSecret secret) => Store(path, secret, overwrite: true);

    private static ClusterSecret Parse(string path, ReadOnlySpan<byte> content)
    {
        ReadOnlySpan<byte> line = content.Trim(" \t\r\n"u8);
        Span<byte> bytes = stackalloc byte[ClusterSecret.Size + 1];
        try
        {
            // 32 bytes are 64 hexadecimal digits or 44 base64 characters, so the length tells the spelling.
            bool parsed = line.Length == ClusterSecret.Size * 2
                ? Convert.FromHexString(line, bytes, out _, out int written) == System.Buffers.OperationStatus.Done
                : System.Buffers.Text.Base64.DecodeFromUtf8(line, bytes, out _, out written)
                    == System.Buffers.OperationStatus.Done;
            if (content.Length > MaxFileBytes || !parsed || written != ClusterSecret.Size)
            {
                throw new ClusterKeyFileException(
                    $"{path} does not hold a cluster key: one line with 64 hexadecimal digits, or 32 bytes in base64, " +
                    "is expected (made for example by: openssl rand -hex 32).");
            }

            return new ClusterSecret(bytes[..ClusterSecret.Size]);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private static int ReadAll(Microsoft.Win32.SafeHandles.SafeFileHandle handle, Span<byte> buffer)
    {
        int length = 0;
        while (length < buffer.Length && RandomAccess.Read(handle, buffer[length..], length) is > 0 and int read)
        {
            length += read;
        }

        return length;
    }

    /// <summary>Temporary file, flush, rename, flush of the directory: after a crash the old file or the new one is there.</summary>
    private static void Store(string path, ClusterSecret secret, bool overwrite)
    {
        string full = Path.GetFullPath(path);
        string directory = Path.GetDirectoryName(full)!;
        string temporary = $"{full}.{Guid.NewGuid():N}";
        Span<byte> bytes = stackalloc byte[ClusterSecret.Size];
        secret.CopyTo(bytes);
        byte[] line = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(bytes) + "\n");
        try
        {
            using (var stream = new FileStream(temporary, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = Private,
                BufferSize = 0,
            }))
            {
                stream.Write(line);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, full, overwrite);
            DirectorySync.Flush(directory);
        }
        finally
        {
            File.Delete(temporary);
            CryptographicOperations.ZeroMemory(bytes);
            CryptographicOperations.ZeroMemory(line);
        }
    }
}
