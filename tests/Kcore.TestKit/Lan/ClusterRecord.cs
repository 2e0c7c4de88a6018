using Kcore.Contracts;

namespace Kcore.TestKit.Lan;

/// <summary>What every running node thinks of every member, and its digest, as lines to compare.</summary>
public static class ClusterRecord
{
    public static async Task<IReadOnlyList<string>> TakeAsync(NodeLan lan)
    {
        List<string> lines = [];
        foreach (LanNode node in lan.Nodes.Where(n => n.IsRunning))
        {
            StatusReport status = await node.StatusAsync();
            lines.Add($"{node.Name}: digest {status.Digest}");
            foreach (MemberLine member in status.Members)
            {
                NodeDetail detail = (await node.KctlAsync("describe", "node", member.Id, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail);
                lines.Add($"{node.Name}: {member.Name} {member.Status} at {member.Address} epoch {detail.Epoch} incarnation {detail.Incarnation}");
            }
        }

        return lines;
    }
}
