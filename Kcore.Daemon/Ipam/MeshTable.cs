using Kcore.Daemon.Catalog.Facts;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>One node's place in the encrypted mesh.</summary>
/// <param name="Ordinal">1 is the first address of <see cref="MeshPool"/> after its base.</param>
internal sealed record MeshRow(Guid NodeUid, uint Ordinal, ulong Index);

/// <summary>
/// Who has which address of <see cref="MeshPool"/>. A node keeps its own while it is a node of the cluster; one that was
/// given back is the last to be given again, because somebody may still have it in a table.
/// </summary>
internal sealed class MeshTable
{
    /// <summary>Without the network's own address and the broadcast address.</summary>
    public const uint OrdinalMax = (1u << (32 - MeshPool.PrefixLength)) - 2;

    private readonly SortedDictionary<Guid, MeshRow> _rows = [];
    private readonly SortedSet<uint> _taken = [];
    private uint _last;

    public IEnumerable<MeshRow> Rows => _rows.Values;

    public MeshRow? Find(Guid node) => _rows.GetValueOrDefault(node);

    /// <summary>Null when all addresses are held.</summary>
    public MeshRow? Add(Guid node, ulong index)
    {
        if (_taken.Count == OrdinalMax)
        {
            return null;
        }

        do
        {
            _last = _last == OrdinalMax ? 1 : _last + 1;
        }
        while (!_taken.Add(_last));

        return _rows[node] = new MeshRow(node, _last, index);
    }

    public void Remove(Guid node)
    {
        if (_rows.Remove(node, out MeshRow? row))
        {
            _taken.Remove(row.Ordinal);
        }
    }

    public void Write(FieldWriter writer)
    {
        writer.U32(_last);
        writer.U32((uint)_rows.Count);
        foreach (MeshRow row in _rows.Values)
        {
            writer.Id(row.NodeUid);
            writer.U32(row.Ordinal);
            writer.U64(row.Index);
        }
    }

    /// <summary>False when what the bytes say can't be true.</summary>
    public bool TryRead(ref FieldReader reader, Func<Guid, bool> isNode)
    {
        _last = reader.U32();
        for (int left = reader.Count((int)OrdinalMax, 28); left > 0; left--)
        {
            var row = new MeshRow(reader.Id(), reader.U32(), reader.U64());
            if (!reader.IsValid || row.Ordinal is 0 or > OrdinalMax || !isNode(row.NodeUid) || !_taken.Add(row.Ordinal) || !_rows.TryAdd(row.NodeUid, row))
            {
                return false;
            }
        }

        return _last <= OrdinalMax;
    }
}
