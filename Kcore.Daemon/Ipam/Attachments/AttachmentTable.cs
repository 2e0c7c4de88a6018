using System.Buffers.Binary;
using System.Collections.Immutable;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Microsoft.Data.Sqlite;

namespace Kcore.Daemon.Ipam.Attachments;

/// <summary>The attachments of this node: durable first, then published.</summary>
internal sealed class AttachmentTable
{
    private readonly StateDatabase _database;
    private readonly Lock _turn = new();

    public AttachmentTable(StateDatabase database)
    {
        _database = database;
        IEnumerable<AttachmentRecord> stored = database
            .Read(c => SqlStatement.Query(c, "SELECT body FROM attachment", r => AttachmentJson.Read((byte[])r.GetValue(0))))
            .OfType<AttachmentRecord>();
        Current = new Published<AttachmentSet>(new AttachmentSet(stored.ToImmutableSortedDictionary(r => r.Id, r => r)));
    }

    public Published<AttachmentSet> Current { get; }

    /// <summary>
    /// Decides on the present set and stores what was decided, as one step: two calls for one name cannot both win.
    /// The function returns the record to store, or null to store nothing.
    /// </summary>
    public AttachmentRecord? Change(Func<AttachmentSet, AttachmentRecord?> decide)
    {
        lock (_turn)
        {
            AttachmentSet now = Current.Current;
            if (decide(now) is not { } record)
            {
                return null;
            }

            _database.Write(c => Put(c, record));
            Current.Replace(new AttachmentSet(now.Records.SetItem(record.Id, record)));
            return record;
        }
    }

    /// <summary>
    /// An attachment without an address gives way to another one of the same NIC, which has one; the old one is released.
    /// </summary>
    /// <param name="id">The old one.</param>
    /// <param name="heir">The new one.</param>
    /// <param name="also">What is stored in the same step.</param>
    /// <returns>False if the old one is gone, released, or has an address by now: nothing was stored.</returns>
    public bool TrySucceed(UInt128 id, AttachmentRecord heir, Action<SqliteConnection> also)
    {
        lock (_turn)
        {
            AttachmentSet now = Current.Current;
            if (!now.Records.TryGetValue(id, out AttachmentRecord? old) || old.Releasing || old.Address is not null)
            {
                return false;
            }

            AttachmentRecord released = old with { Releasing = true };
            _database.Write(c =>
            {
                Put(c, released);
                Put(c, heir);
                also(c);
            });
            Current.Replace(new AttachmentSet(now.Records.SetItem(id, released).SetItem(heir.Id, heir)));
            return true;
        }
    }

    public void Remove(UInt128 id)
    {
        lock (_turn)
        {
            _database.Write(c => SqlStatement.Run(c, "DELETE FROM attachment WHERE id=$0", Bytes(id)));
            Current.Replace(new AttachmentSet(Current.Current.Records.Remove(id)));
        }
    }

    private static void Put(SqliteConnection connection, AttachmentRecord record) => SqlStatement.Run(
        connection,
        "INSERT INTO attachment (id, body) VALUES ($0, $1) ON CONFLICT (id) DO UPDATE SET body=excluded.body",
        Bytes(record.Id), AttachmentJson.Write(record));

    private static byte[] Bytes(UInt128 id)
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, id);
        return bytes;
    }
}

internal sealed record AttachmentSet(ImmutableSortedDictionary<UInt128, AttachmentRecord> Records)
{
    /// <summary>Kcore derives names and addresses from up to this many NICs of one name.</summary>
    public const int MaxNicsPerName = 8;

    /// <summary>Those that are wanted, not on their way out.</summary>
    public IEnumerable<AttachmentRecord> Wanted => Records.Values.Where(r => !r.Releasing);

    /// <summary>A name attached to several networks of this node gets a device and a MAC for each (behaviour 6); null when it has as many as it can have.</summary>
    public string? FreeSeed(string name)
    {
        for (int i = 0; i < MaxNicsPerName; i++)
        {
            string seed = DerivedNames.NicSeed(name, i);
            if (Records.Values.All(r => r.Device != DerivedNames.Tap(seed) && r.Device != DerivedNames.NamespacePort(seed)))
            {
                return seed;
            }
        }

        return null;
    }

    public AttachmentRecord? Find(UInt128 network, string name) =>
        Wanted.FirstOrDefault(r => r.Network == network && string.Equals(r.Name, name, StringComparison.Ordinal));
}
