using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Kcore.Daemon.Storage;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// The private key on disk, for its owner alone: base64, as <c>wg genkey</c> prints it, and whose it is. A copied disk becomes
/// another node, and two nodes with one key could reach nobody.
/// </summary>
internal sealed class MeshKeyFile(string path, NodeId owner)
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int FileBytesMax = 128;

    /// <summary>Null when there is none, or only another node's.</summary>
    /// <exception cref="InvalidDataException">It holds something else.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public MeshKey? Read()
    {
        Span<byte> text = stackalloc byte[FileBytesMax];
        Span<byte> secret = stackalloc byte[FileBytesMax];
        try
        {
            using FileStream stream = File.OpenRead(path);
            int length = stream.ReadAtLeast(text, text.Length, throwOnEndOfStream: false);
            ReadOnlySpan<byte> line = text[..length].Trim(" \t\r\n"u8);
            int blank = line.IndexOf((byte)' ');
            if (blank > 0
                && Base64.DecodeFromUtf8(line[..blank], secret, out _, out int written) == OperationStatus.Done
                && MeshKey.From(secret[..written]) is { } key)
            {
                return line[(blank + 1)..].SequenceEqual(Encoding.ASCII.GetBytes(owner.ToString())) ? key : null;
            }

            throw new InvalidDataException($"{path} holds no WireGuard key; remove it to have a new one made");
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
            CryptographicOperations.ZeroMemory(secret);
        }
    }

    /// <summary>Durable when it returns: peers are told the public half only afterwards.</summary>
    /// <exception cref="IOException">It cannot be written; the old file is as it was.</exception>
    public void Write(MeshKey key)
    {
        string temporary = path + ".new";
        byte[] text = new byte[FileBytesMax];
        try
        {
            Base64.EncodeToUtf8(key.Secret.Span, text, out _, out int written);
            written += Encoding.ASCII.GetBytes($" {owner}\n", text.AsSpan(written));
            File.Delete(temporary);
            using (var stream = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Private }))
            {
                stream.Write(text.AsSpan(0, written));
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
            DirectorySync.Flush(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
        }
    }
}
