using Kcore.Raft;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>A snapshot as it was stored.</summary>
/// <param name="Snapshot">The state.</param>
/// <param name="IsInstalled">True if a leader sent it, so that the log need not reach up to it; false if it was taken here.</param>
internal sealed record StoredSnapshot(RaftSnapshot Snapshot, bool IsInstalled);

/// <summary>The snapshot files of a store; the two newest are kept, and the log reaches back to the older.</summary>
internal static class SnapshotFiles
{
    private const string Prefix = "snapshot-";
    private const uint Magic = 0x4E53_434B; // "KCSN"
    private const byte Version = 1;

    public static void Write(IFileLayer files, Guid storeId, StoredSnapshot stored)
    {
        var writer = new FieldWriter(stored.Snapshot.Data.Length + 512);
        writer.U8(Version);
        writer.Id(storeId);
        writer.Flag(stored.IsInstalled);
        RaftMessageCodec.WriteSnapshot(writer, stored.Snapshot);
        SealedFile.Write(files, $"{Prefix}{stored.Snapshot.Index:D20}", Magic, writer.Written);
    }

    /// <summary>The indexes of the files there are, ascending.</summary>
    public static IReadOnlyList<ulong> List(IFileLayer files) =>
    [
        .. files.List()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal) && ulong.TryParse(name.AsSpan(Prefix.Length), out _))
            .Select(name => ulong.Parse(name.AsSpan(Prefix.Length))),
    ];

    /// <summary>The newest readable snapshot, or null.</summary>
    public static StoredSnapshot? ReadNewest(IFileLayer files, Guid storeId)
    {
        foreach (ulong index in List(files).Reverse())
        {
            if (!SealedFile.TryRead(files, $"{Prefix}{index:D20}", Magic, RaftSnapshot.DataBytesMax + 65536, out byte[]? body))
            {
                continue;
            }

            var reader = new FieldReader(body);
            byte version = reader.U8();
            if (version > Version)
            {
                // An older one would do only as long as the log behind it is still there.
                throw new NewerVersionException($"The snapshot at {index} (format {version})");
            }

            bool isOurs = version == Version && reader.Id() == storeId;
            bool isInstalled = reader.Flag();
            if (RaftMessageCodec.ReadSnapshot(ref reader) is { } snapshot && isOurs && reader.IsAtValidEnd && snapshot.Index == index)
            {
                return new StoredSnapshot(snapshot, isInstalled);
            }

            if (isOurs && !reader.IsAtValidEnd)
            {
                // Its checksum is right.
                throw new NewerVersionException($"The snapshot at {index}");
            }
        }

        return null;
    }

    /// <summary>Removes all but the two newest; gives the index of the older of these, or 0 while there is only one.</summary>
    public static ulong DeleteOld(IFileLayer files)
    {
        IReadOnlyList<ulong> all = List(files);
        for (int i = 0; i < all.Count - 2; i++)
        {
            files.Delete($"{Prefix}{all[i]:D20}");
        }

        return all.Count >= 2 ? all[^2] : 0;
    }
}
