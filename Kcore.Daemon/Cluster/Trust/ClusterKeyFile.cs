using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Kcore.Daemon.Storage;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>The key file can't be used as it is; the message is written for the operator.</summary>
internal sealed class ClusterKeyFileException(string message) : Exception(message);

/// <summary>
/// The cluster's keys on disk (<c>/etc/kcore/cluster.key</c>). Before the first rotation: one line with 64 hexadecimal
/// digits, or the same 32 bytes in base64, so that <c>openssl rand -hex 32</c> and <c>openssl rand -base64 32</c> both make
/// one. Afterwards one line a key, oldest first: state, generation, 64 hexadecimal digits, seconds of overlap, second
/// (since 1970) it became active or a dash; lines that begin with # are skipped. Mode 0600; a file that group or others
/// may touch is refused, because the keys have then to be taken as known.
/// </summary>
internal static class ClusterKeyFile
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const UnixFileMode Foreign =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute |
        UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    // Four lines of some 110 bytes, and somebody's remarks.
    private const int MaxFileBytes = 2048;

    private const string Heading = "# Kcore cluster keys, oldest first: state, generation, key, overlap in seconds, active since. See: kctl cluster keys";

    /// <summary>Reads the keys; null when there is no such file.</summary>
    /// <exception cref="ClusterKeyFileException">It is open to others, or holds something else.</exception>
    public static RingContent? Read(string path)
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

    /// <summary>Makes a new key and stores it; the file must not exist.</summary>
    /// <exception cref="IOException">It exists, or can't be written.</exception>
    public static RingContent Create(string path)
    {
        RingContent ring = RingContent.Of(NewSecret());
        Store(path, ring, overwrite: false);
        return ring;
    }

    /// <summary>Stores the keys after a step of a rotation or a join token, replacing the file as a whole.</summary>
    /// <exception cref="IOException">It can't be written; the old file is as it was.</exception>
    public static void Write(string path, RingContent ring) => Store(path, ring, overwrite: true);

    /// <summary>32 bytes nobody can guess.</summary>
    public static ClusterSecret NewSecret()
    {
        Span<byte> bytes = stackalloc byte[ClusterSecret.Size];
        RandomNumberGenerator.Fill(bytes);
        var secret = new ClusterSecret(bytes);
        CryptographicOperations.ZeroMemory(bytes);
        return secret;
    }

    private static RingContent Parse(string path, ReadOnlySpan<byte> content)
    {
        ReadOnlySpan<byte> text = content.Trim(" \t\r\n"u8);
        if (content.Length > MaxFileBytes || text.IsEmpty)
        {
            throw Malformed(path);
        }

        if (text[0] != '#' && text.IndexOfAny(" \t\n"u8) < 0)
        {
            return RingContent.Of(ReadSecret(text) ?? throw Malformed(path));
        }

        List<RingKey> keys = [];
        List<uint> active = [];
        foreach (Range range in text.Split((byte)'\n'))
        {
            ReadOnlySpan<byte> line = text[range].Trim(" \t\r"u8);
            if (line.IsEmpty || line[0] == '#')
            {
                continue;
            }

            (RingKey key, bool isActive) = ReadLine(line) ?? throw Malformed(path);
            keys.Add(key);
            if (isActive)
            {
                active.Add(key.Secret.KeyId);
            }
        }

        return keys.Count is > 0 and <= KeyRing.MaxSecrets && active.Count == 1 && keys.DistinctBy(k => k.Secret.KeyId).Count() == keys.Count
            ? new RingContent([.. keys.OrderBy(k => k.Name)], active[0])
            : throw Malformed(path);
    }

    /// <summary>Null when it is not a line of ours.</summary>
    private static (RingKey Key, bool IsActive)? ReadLine(ReadOnlySpan<byte> line)
    {
        Span<Range> fields = stackalloc Range[6];
        int count = 0;
        foreach (Range field in line.Split((byte)' '))
        {
            if (line[field].IsEmpty)
            {
                continue;
            }

            if (count == 5)
            {
                return null;
            }

            fields[count++] = field;
        }

        DateTimeOffset? since = null;
        if (count != 5
            || !(line[fields[0]].SequenceEqual("staged"u8) || line[fields[0]].SequenceEqual("active"u8) || line[fields[0]].SequenceEqual("retiring"u8))
            || !uint.TryParse(line[fields[1]], NumberStyles.None, CultureInfo.InvariantCulture, out uint generation) || generation > KeyName.MaxGeneration
            || !uint.TryParse(line[fields[3]], NumberStyles.None, CultureInfo.InvariantCulture, out uint overlap)
            || (!line[fields[4]].SequenceEqual("-"u8) && !TryReadTime(line[fields[4]], out since))
            || ReadSecret(line[fields[2]]) is not { } secret)
        {
            return null;
        }

        return (new RingKey(generation, secret, TimeSpan.FromSeconds(overlap), since), line[fields[0]].SequenceEqual("active"u8));
    }

    private static bool TryReadTime(ReadOnlySpan<byte> text, out DateTimeOffset? time)
    {
        time = null;
        if (!uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint seconds))
        {
            return false;
        }

        time = DateTimeOffset.FromUnixTimeSeconds(seconds);
        return true;
    }

    private static ClusterSecret? ReadSecret(ReadOnlySpan<byte> text)
    {
        Span<byte> bytes = stackalloc byte[ClusterSecret.Size + 1];
        try
        {
            // 32 bytes are 64 hexadecimal digits or 44 base64 characters, so the length tells the spelling.
            bool parsed = text.Length == ClusterSecret.Size * 2
                ? Convert.FromHexString(text, bytes, out _, out int written) == System.Buffers.OperationStatus.Done
                : System.Buffers.Text.Base64.DecodeFromUtf8(text, bytes, out _, out written)
                    == System.Buffers.OperationStatus.Done;
            return parsed && written == ClusterSecret.Size ? new ClusterSecret(bytes[..ClusterSecret.Size]) : null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private static ClusterKeyFileException Malformed(string path) => new(
        $"{path} does not hold a cluster key: one line with 64 hexadecimal digits, or 32 bytes in base64, is expected " +
        "(made for example by: openssl rand -hex 32), or a file that kcored wrote, unchanged.");

    /// <summary>A cluster that never rotated keeps the plain file that everybody can make and compare.</summary>
    private static byte[] Print(RingContent ring)
    {
        if (ring.Keys is [{ Generation: 0 } only])
        {
            return Encoding.ASCII.GetBytes(Hex(only) + "\n");
        }

        var text = new StringBuilder(Heading, MaxFileBytes).Append('\n');
        foreach (RingKey key in ring.Keys)
        {
            string state = key.Secret.KeyId == ring.Active ? "active" : key.Name < ring.ActiveKey.Name ? "retiring" : "staged";
            text.Append(CultureInfo.InvariantCulture, $"{state} {key.Generation} {Hex(key)} {(long)key.Overlap.TotalSeconds} ")
                .Append(key.ActiveSince is { } since ? since.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture) : "-")
                .Append('\n');
        }

        return Encoding.ASCII.GetBytes(text.ToString());
    }

    private static string Hex(RingKey key)
    {
        Span<byte> bytes = stackalloc byte[ClusterSecret.Size];
        key.Secret.CopyTo(bytes);
        try
        {
            return Convert.ToHexStringLower(bytes);
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
    private static void Store(string path, RingContent ring, bool overwrite)
    {
        string full = Path.GetFullPath(path);
        string directory = Path.GetDirectoryName(full)!;
        string temporary = $"{full}.{Guid.NewGuid():N}";
        byte[] content = Print(ring);
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
                stream.Write(content);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, full, overwrite);
            DirectorySync.Flush(directory);
        }
        finally
        {
            File.Delete(temporary);
            CryptographicOperations.ZeroMemory(content);
        }
    }
}
