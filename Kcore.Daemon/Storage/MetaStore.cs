using System.Buffers.Binary;
using System.Text;
using Microsoft.Data.Sqlite;

namespace Kcore.Daemon.Storage;

/// <summary>Single values of the node: its ids, its boot counter, its cluster, the addresses it last met others at.</summary>
internal sealed class MetaStore(StateDatabase database)
{
    public string? Text(string key) => Blob(key) is { } value ? Encoding.UTF8.GetString(value) : null;

    public UInt128? Id(string key) => Blob(key) is { Length: 16 } value ? BinaryPrimitives.ReadUInt128BigEndian(value) : null;

    public ulong? Number(string key) => Blob(key) is { Length: 8 } value ? BinaryPrimitives.ReadUInt64BigEndian(value) : null;

    public void Set(params ReadOnlySpan<(string Key, object? Value)> values)
    {
        List<(string, byte[]?)> rows = Rows(values);
        database.Write(connection => Put(connection, rows));
    }

    /// <summary>
    /// Forgets everything but the events, and stores these values, as one step. What a copied disk says about its node,
    /// its cluster and its NICs belongs to the machine it was copied from, which may be running.
    /// </summary>
    public void StartAfresh(params ReadOnlySpan<(string Key, object? Value)> values)
    {
        List<(string, byte[]?)> rows = Rows(values);
        database.Write(connection =>
        {
            SqlStatement.Run(connection, "DELETE FROM meta");
            SqlStatement.Run(connection, "DELETE FROM contact");
            SqlStatement.Run(connection, "DELETE FROM entry");
            SqlStatement.Run(connection, "DELETE FROM origin");
            SqlStatement.Run(connection, "DELETE FROM attachment");
            SqlStatement.Run(connection, "DELETE FROM reserve");
            Put(connection, rows);
        });
    }

    /// <summary>Addresses (<c>IP:PORT</c>) members were last seen at.</summary>
    public List<string> Contacts() => database.Read(c => SqlStatement.Query(c, "SELECT address FROM contact ORDER BY address", r => r.GetString(0)));

    public void SetContacts(IReadOnlyCollection<string> addresses) => database.Write(connection =>
    {
        SqlStatement.Run(connection, "DELETE FROM contact");
        foreach (string address in addresses)
        {
            SqlStatement.Run(connection, "INSERT OR IGNORE INTO contact (address) VALUES ($0)", address);
        }
    });

    private static List<(string Key, byte[]? Value)> Rows(ReadOnlySpan<(string Key, object? Value)> values)
    {
        var rows = new List<(string, byte[]?)>();
        foreach ((string key, object? value) in values)
        {
            rows.Add((key, Encode(value)));
        }

        return rows;
    }

    private static void Put(SqliteConnection connection, List<(string Key, byte[]? Value)> rows)
    {
        foreach ((string key, byte[]? value) in rows)
        {
            if (value is null)
            {
                SqlStatement.Run(connection, "DELETE FROM meta WHERE key=$0", key);
            }
            else
            {
                SqlStatement.Run(connection, "INSERT INTO meta (key, value) VALUES ($0, $1) ON CONFLICT (key) DO UPDATE SET value=excluded.value", key, value);
            }
        }
    }

    private byte[]? Blob(string key) =>
        database.Read(c => SqlStatement.Query(c, "SELECT value FROM meta WHERE key=$0", r => (byte[])r.GetValue(0), key)) is [var value] ? value : null;

    private static byte[]? Encode(object? value)
    {
        switch (value)
        {
            case null:
                return null;
            case string text:
                return Encoding.UTF8.GetBytes(text);
            case UInt128 id:
                byte[] wide = new byte[16];
                BinaryPrimitives.WriteUInt128BigEndian(wide, id);
                return wide;
            case ulong number:
                byte[] narrow = new byte[8];
                BinaryPrimitives.WriteUInt64BigEndian(narrow, number);
                return narrow;
            default:
                throw new ArgumentException($"no encoding for {value.GetType().Name}", nameof(value));
        }
    }
}
