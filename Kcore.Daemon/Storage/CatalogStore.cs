using Kcore.Gossip;
using Microsoft.Data.Sqlite;

namespace Kcore.Daemon.Storage;

/// <summary>Origins and entries of the catalog, as stored rows.</summary>
internal sealed class CatalogStore(StateDatabase database)
{
    public (List<OriginHead> Heads, List<CatalogEntry> Entries) Load() => database.Read(connection =>
    {
        List<OriginHead> heads = SqlStatement.Query(
            connection,
            "SELECT origin, epoch, version, gc_floor, complete FROM origin ORDER BY origin",
            r => new OriginHead(
                NodeId.FromBytes((byte[])r.GetValue(0)), (ulong)r.GetInt64(1), (ulong)r.GetInt64(2), (ulong)r.GetInt64(3), r.GetInt64(4) != 0));
        var entries = new List<CatalogEntry>();
        foreach ((NodeId origin, byte[] raw) in SqlStatement.Query(
            connection, "SELECT origin, raw FROM entry", r => (NodeId.FromBytes((byte[])r.GetValue(0)), (byte[])r.GetValue(1))))
        {
            if (CatalogEntry.TryParse(origin, raw, out CatalogEntry? entry))
            {
                entries.Add(entry);
            }
        }

        return (heads, entries);
    });

    public void Save(GossipEffect.Persist changes) => database.Write(connection =>
    {
        foreach (NodeId origin in changes.RemovedOrigins)
        {
            RemoveOrigin(connection, origin);
        }

        foreach (EntryKey key in changes.Removed)
        {
            SqlStatement.Run(connection, "DELETE FROM entry WHERE origin=$0 AND key=$1", Bytes(key.Origin), key.Key);
        }

        SqlStatement.RunEach(
            connection,
            "INSERT INTO entry (origin, key, raw) VALUES ($0, $1, $2) ON CONFLICT (origin, key) DO UPDATE SET raw=excluded.raw",
            changes.Entries.Select(entry => new object[] { Bytes(entry.Origin), entry.Key, entry.Raw.ToArray() }));

        foreach (OriginHead head in changes.Heads)
        {
            SqlStatement.Run(
                connection,
                """
                INSERT INTO origin (origin, epoch, version, gc_floor, complete) VALUES ($0, $1, $2, $3, $4)
                ON CONFLICT (origin) DO UPDATE SET epoch=excluded.epoch, version=excluded.version,
                    gc_floor=excluded.gc_floor, complete=excluded.complete
                """,
                Bytes(head.Origin), (long)head.Epoch, (long)head.Version, (long)head.GcFloor, head.Complete ? 1L : 0L);
        }
    });

    /// <summary>Forgets what another cluster's log said; used when this node changes clusters.</summary>
    public void RemoveRaftOrigin() => database.Write(connection => RemoveOrigin(connection, NodeId.Raft));

    private static void RemoveOrigin(SqliteConnection connection, NodeId origin)
    {
        SqlStatement.Run(connection, "DELETE FROM entry WHERE origin=$0", Bytes(origin));
        SqlStatement.Run(connection, "DELETE FROM origin WHERE origin=$0", Bytes(origin));
    }

    private static byte[] Bytes(NodeId id)
    {
        byte[] bytes = new byte[NodeId.ByteCount];
        id.WriteBytes(bytes);
        return bytes;
    }
}
