using System.Buffers.Binary;
using System.Net;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Microsoft.Data.Sqlite;

namespace Kcore.Daemon.Ipam.Reserve;

/// <summary>Keeps the <see cref="ReserveBook"/> in the state database: durable first, then published.</summary>
internal sealed class ReserveStore
{
    private const string HolderKey = "reserve.holder";

    private readonly StateDatabase _database;
    private readonly Lock _turn = new();

    public ReserveStore(StateDatabase database, MetaStore meta)
    {
        _database = database;
        List<(byte[] Holder, ReserveRow? Row)> stored = database.Read(c => SqlStatement.Query(
            c, "SELECT holder, network, address, grant_index, use, attachment FROM reserve", r => ((byte[])r.GetValue(0), Read(r))));
        if (meta.Id(HolderKey) is { } holder && stored.TrueForAll(r => r.Row is not null && r.Holder.AsSpan().SequenceEqual(Bytes(holder))))
        {
            Current = new Published<ReserveBook>(Told(ReserveBook.New(Uid.ToGuid(holder)), stored.Select(r => r.Row!)));
            return;
        }

        // Part of the record is lost, so none of it can be believed: what it had is never used again, by nobody.
        UInt128 next = Uid.NewRandom();
        database.Write(c => SqlStatement.Run(c, "DELETE FROM reserve"));
        meta.Set((HolderKey, next));
        Current = new Published<ReserveBook>(ReserveBook.New(Uid.ToGuid(next)));
    }

    public Published<ReserveBook> Current { get; }

    /// <summary>
    /// Gives an attachment that has no address the highest available one, if there is any. It goes by another id from then on:
    /// the log may have granted an address to the old one, and will grant this one to the new.
    /// </summary>
    /// <param name="table">Where the attachment is.</param>
    /// <param name="attachment">Whom an address was asked for in vain.</param>
    /// <param name="isElsewhere">True for an address that is seen in use.</param>
    /// <exception cref="StorageException">Nothing happened.</exception>
    public AttachmentRecord? Take(AttachmentTable table, UInt128 attachment, Func<IPAddress, bool> isElsewhere)
    {
        lock (_turn)
        {
            AttachmentSet now = table.Current.Current;
            if (!now.Records.TryGetValue(attachment, out AttachmentRecord? asked))
            {
                return null;
            }

            HashSet<IPAddress> here = [.. now.Records.Values.Where(r => r.Network == asked.Network).Select(r => r.Address).OfType<IPAddress>()];
            ReserveBook book = Current.Current;
            uint? wanted = asked.Wanted is { } only ? AddressSequence.ToNumber(only) : null;
            if (book.Highest(asked.Network, wanted, a => AddressSequence.ToAddress(a) is var address && (here.Contains(address) || isElsewhere(address))) is not { } row)
            {
                return null;
            }

            AttachmentRecord heir = asked with { Id = Uid.NewRandom(), Address = AddressSequence.ToAddress(row.Address), Grant = row.GrantIndex, Instead = asked.Id };
            ReserveBook next = book.Taken(row, heir.Id);
            if (!table.TrySucceed(attachment, heir, c => Write(c, next.Rows[(row.Network, row.Address)])))
            {
                return null;
            }

            Current.Replace(next);
            return heir;
        }
    }

    /// <summary>Stores what the book becomes, and only then shows it.</summary>
    /// <exception cref="StorageException">Nothing happened.</exception>
    public void Change(Func<ReserveBook, ReserveBook> change)
    {
        lock (_turn)
        {
            ReserveBook before = Current.Current, after = change(before);
            ReserveRow[] gone = [.. before.Rows.Values.Where(r => !after.Rows.ContainsKey((r.Network, r.Address)))];
            ReserveRow[] put = [.. after.Rows.Values.Where(r => before.Rows.GetValueOrDefault((r.Network, r.Address)) != r)];
            if (gone.Length + put.Length == 0)
            {
                return;
            }

            _database.Write(c =>
            {
                foreach (ReserveRow row in gone)
                {
                    SqlStatement.Run(c, "DELETE FROM reserve WHERE network=$0 AND address=$1", Bytes(row.Network), (long)row.Address);
                }

                foreach (ReserveRow row in put)
                {
                    Write(c, row);
                }
            });
            Current.Replace(after);
        }
    }

    private static ReserveBook Told(ReserveBook empty, IEnumerable<ReserveRow> rows) =>
        empty with { Rows = empty.Rows.AddRange(rows.Select(r => KeyValuePair.Create((r.Network, r.Address), r))) };

    private static ReserveRow? Read(SqliteDataReader reader)
    {
        var use = (ReserveUse)reader.GetInt64(4);
        return reader.GetValue(1) is byte[] { Length: 16 } network
            && reader.GetInt64(2) is >= 0 and <= uint.MaxValue and var address
            && reader.GetInt64(3) is > 0 and var index
            && Enum.IsDefined(use)
            && reader.GetValue(5) is byte[] { Length: 16 } attachment
            ? new ReserveRow(BinaryPrimitives.ReadUInt128BigEndian(network), (uint)address, (ulong)index, use, BinaryPrimitives.ReadUInt128BigEndian(attachment))
            : null;
    }

    private void Write(SqliteConnection connection, ReserveRow row) => SqlStatement.Run(
        connection,
        """
        INSERT INTO reserve (network, address, grant_index, holder, use, attachment) VALUES ($0, $1, $2, $3, $4, $5)
        ON CONFLICT (network, address) DO UPDATE SET grant_index=excluded.grant_index, holder=excluded.holder, use=excluded.use, attachment=excluded.attachment
        """,
        Bytes(row.Network), (long)row.Address, (long)row.GrantIndex, Bytes(Uid.FromGuid(Current.Current.Holder)), (long)row.Use, Bytes(row.Attachment));

    private static byte[] Bytes(UInt128 id)
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, id);
        return bytes;
    }
}
