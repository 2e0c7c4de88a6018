using System.Diagnostics.CodeAnalysis;
using Kcore.Raft;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>
/// A small file that is either there whole or not at all: written under a temporary name, synced, renamed, and the
/// directory synced. Body and a checksum over it, behind a magic number.
/// </summary>
internal static class SealedFile
{
    public const string TemporarySuffix = ".tmp";

    private const int OverheadBytes = 4 + 4 + 4;

    public static void Write(IFileLayer files, string name, uint magic, ReadOnlySpan<byte> body)
    {
        var writer = new FieldWriter(body.Length + OverheadBytes);
        writer.U32(magic);
        writer.Bytes(body);
        writer.U32(Crc32C.Of(body));
        try
        {
            using IStoreFile file = files.Create(name + TemporarySuffix);
            file.Write(0, writer.Written);
            file.Sync();
        }
        catch (DiskFullException)
        {
            files.Delete(name + TemporarySuffix);
            throw;
        }

        files.Rename(name + TemporarySuffix, name);
        files.SyncDirectory();
    }

    /// <summary>False when the file is not exactly what was written.</summary>
    public static bool TryRead(IFileLayer files, string name, uint magic, int bodyBytesMax, [NotNullWhen(true)] out byte[]? body)
    {
        body = null;
        using IStoreFile file = files.Open(name);
        if (file.Length > bodyBytesMax + OverheadBytes)
        {
            return false;
        }

        var bytes = new byte[file.Length];
        int length = file.Read(0, bytes);
        var reader = new FieldReader(bytes.AsSpan(0, length));
        uint foundMagic = reader.U32();
        ReadOnlySpan<byte> foundBody = reader.Bytes(bodyBytesMax);
        uint checksum = reader.U32();
        if (!reader.IsAtValidEnd || foundMagic != magic || checksum != Crc32C.Of(foundBody))
        {
            return false;
        }

        body = foundBody.ToArray();
        return true;
    }
}
